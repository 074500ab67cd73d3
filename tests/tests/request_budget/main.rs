//! What instances may ask of the registry, counted at the registry in virtual time. A read that sneaks in fails here.

mod faults;
mod steady;
