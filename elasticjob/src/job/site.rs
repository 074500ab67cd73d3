//! Where a declaration stands, and which builders discover it.
//!
//! A test binary links everything: the application's jobs, and those that its tests declare for themselves. A builder that took all of
//! them would run the jobs of other tests, or miss their components. So what test code declares is discovered from its own file alone.
//!
//! No application outside of a test binary is affected: a module of the name `tests` is an ordinary one there.

use super::Place;

/// Where an attribute stands, written by the attributes.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "for generated code alone")]
pub struct Site {
    pub module: &'static str,
    pub file: &'static str,
    pub line: u32,
    /// `cfg!(test)`, as it is there.
    pub is_test_build: bool,
    /// Whether Cargo builds an integration test or a benchmark there: only then it sets `CARGO_TARGET_TMPDIR`.
    pub is_test_target: bool,
}

impl Site {
    pub(crate) fn place(&self) -> Place {
        Place::new(self.file, self.line)
    }

    /// Returns whether a builder that is made in `file` discovers what stands here.
    pub(crate) fn is_discovered_from(&self, file: &str) -> bool {
        !self.is_test_code() || self.file == file
    }

    fn is_test_code(&self) -> bool {
        // The first segment is the crate.
        let mut modules = self.module.split("::").skip(1);
        self.is_test_target || self.is_test_build && modules.any(is_name_of_tests)
    }
}

/// Returns whether modules of this name hold tests, as Rust projects name them.
fn is_name_of_tests(module: &str) -> bool {
    let last_word = module.rsplit('_').next().unwrap_or(module);
    matches!(last_word, "test" | "tests")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "src/orders.rs";

    fn site(module: &'static str) -> Site {
        Site {
            module,
            file: FILE,
            line: 1,
            is_test_build: true,
            is_test_target: false,
        }
    }

    mod discovery {
        use super::*;

        #[test]
        fn keeps_jobs_of_test_modules_to_their_file() {
            for module in ["shop::orders::tests", "shop::test::deep", "shop::order_tests"] {
                assert!(site(module).is_discovered_from(FILE), "{module}");
                assert!(!site(module).is_discovered_from("src/main.rs"), "{module}");
            }
        }

        #[test]
        fn finds_jobs_of_the_application_everywhere() {
            for module in ["shop", "tests", "shop::orders", "shop::latest", "shop::contests"] {
                assert!(site(module).is_discovered_from("src/main.rs"), "{module}");
            }
        }

        #[test]
        fn takes_modules_of_any_name_for_the_application_outside_of_test_binaries() {
            let site = Site {
                is_test_build: false,
                ..site("laboratory::tests")
            };
            assert!(site.is_discovered_from("src/main.rs"));
        }

        #[test]
        fn takes_all_of_an_integration_test_for_test_code() {
            let site = Site {
                is_test_target: true,
                ..site("end_to_end::orders")
            };
            assert!(!site.is_discovered_from("tests/end_to_end/main.rs"));
        }

        /// What the attribute writes, in this very test binary.
        #[test]
        fn knows_an_attribute_in_test_code() {
            use crate as elasticjob;

            #[crate::elastic_job(crate = elasticjob, sharding = 1)]
            async fn of_a_test() {}

            let declaration = <of_a_test as crate::job::Job>::DECLARATION;
            assert!(declaration.site().is_discovered_from(file!()));
            assert!(!declaration.site().is_discovered_from("elasticjob/src/lib.rs"));
        }
    }
}
