//! What the compiler says about attributes: each rule has a case that breaks it. What is allowed is in
//! `tests/accepted` and `tests/strict_crate.rs` of the crate `elasticjob`.
//!
//! The expected messages are those of the toolchain that the workspace is built with. They list implementations of
//! traits, also those of dependencies: here the cases are always built with the default features of `elasticjob`,
//! whichever the rest of the workspace is built with.

#[test]
fn what_is_not_allowed_should_say_why() {
    trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
}
