//! Jobs by configuration alone: scripts and requests.

mod application;
mod http;
mod scripts;
