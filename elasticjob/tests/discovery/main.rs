//! What builders find in a test binary of several files, and what is left out by choice.

mod orders;
mod returns;
