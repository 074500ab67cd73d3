//! Failures of jobs are sent to people, by real mail servers and web servers.

mod application;
mod bad_input;
mod chats;
mod mails;
mod webhooks;
