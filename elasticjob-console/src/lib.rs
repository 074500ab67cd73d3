//! The console of ElasticJob for Rust: see and steer jobs in a browser.
//!
//! An application serves its own console by one line and one setting:
//!
//! ```no_run
//! use elasticjob::prelude::*;
//! use elasticjob_console::Console;
//!
//! # async fn f() -> elasticjob::Result<()> {
//! ElasticJob::builder().with(Console::new()).build()?.run().await
//! # }
//! ```
//!
//! ```yaml
//! elasticjob: { console: { port: 8088 } }
//! ```
//!
//! The log has the address to open: `http://127.0.0.1:8088/?key=..`. The key keeps other users and programs of the machine out.
//! The browser gets it as a cookie, and a file in the directory for temporary files keeps it over restarts.
//!
//! # In an application of one's own
//!
//! [`Console::router`] returns an axum router for any prefix. The application says who asks, and what they may do:
//!
//! ```
//! use std::sync::Arc;
//! use axum::Router;
//! use elasticjob::operation::Operations;
//! use elasticjob::registry::memory::MemoryRegistry;
//! use elasticjob_console::{Console, Rights, Visitor};
//!
//! let operations = Operations::new(Arc::new(MemoryRegistry::new()));
//! let (console, following) = Console::router(operations, |request| {
//!     let user = request.headers.get("x-user")?.to_str().ok()?;
//!     Some(Visitor::new(user, Rights::Operator))
//! });
//! let app: Router = Router::new().nest("/jobs-console", console);
//! # let _ = (app, following);
//! ```
//!
//! # What it costs
//!
//! Nothing is read while nobody looks. With the first page the console opens a session of its own beside that of the
//! application, and five minutes after the last look it closes it. Pages are made of [`World`](elasticjob::operation::world::World),
//! and read nothing from the registry.

mod access;
mod act;
mod api;
mod assets;
mod audit;
mod companion;
mod condition;
mod configure;
pub mod credentials;
mod draw;
mod gate;
mod globs;
mod history;
mod key;
mod live;
mod login;
mod masks;
mod page;
mod past;
mod routes;
mod serve;
mod settings;
mod store;
mod table;
mod text;
mod token;
mod twin;
mod words;

pub use access::{Rights, Visitor};
pub use companion::Console;
pub use globs::Globs;
