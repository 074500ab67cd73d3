//! The dump port: the subtree of a job as text, for bug reports.
//!
//! `echo dump@sync_orders | nc 127.0.0.1 9888`, or [`operation::dump`](crate::operation::dump). It speaks the
//! protocol of Java ElasticJob, byte for byte: one line `dump@{job}` in, the nodes below the job out, each as
//! `path | value`, with the addresses of machines replaced by `ip1`, `ip2` and so on, then the end of the stream. A job
//! that is unknown gives one empty line; a request that is none gives nothing.
//!
//! Unlike Java's, an answer shows no secrets. `[provided]` stands for the value of a prop or another key if its name says that it is
//! a secret ([`is_secret`](crate::configuration::is_secret)), and for passwords and tokens that any text quotes. A configuration that
//! is not YAML is not shown. A secret under a name that does not say so is shown: look before you pass an answer on.
//!
//! It is there where `elasticjob.dump.port` is configured, on `elasticjob.dump.host`, which is this machine alone unless
//! set: every client that can connect can read all that the registry holds of the jobs, their configurations included. Clients are
//! served side by side, up to a limit, and a silent or slow client is cut off after some seconds. Unlike Java's, an address
//! that is the beginning of another is never taken for it, and a line never shows a second pair of path and value: we
//! keep no cache of texts that could differ from the registry.

mod connection;
mod server;
mod text;

pub(crate) use server::{bind, serve};
