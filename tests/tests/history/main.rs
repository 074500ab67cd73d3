//! History in databases: one suite on SQLite, PostgreSQL and MariaDB, and what only a server can do.

/// Runs each of these tests of a module on every database.
macro_rules! on_all {
    ($module:ident: $($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() -> anyhow::Result<()> {
                crate::$module::$name(crate::place::Place::sqlite()?).await
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() -> anyhow::Result<()> {
                crate::$module::$name(crate::place::Place::postgres().await?).await
            })+
        }
        mod mariadb {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() -> anyhow::Result<()> {
                crate::$module::$name(crate::place::Place::mariadb().await?).await
            })+
        }
    };
}

mod application;
mod java;
mod logs;
mod outages;
mod place;
mod pools;
mod privileges;
mod spring;
mod suite;
mod tables;

mod data_sources {
    on_all!(spring: what_spring_names_should_be_recorded_in);
}

mod pools_of_the_application {
    on_all!(pools: what_becomes_of_jobs_is_recorded_there, each_place_has_the_history_of_its_jobs);
}

mod logs_of_runs {
    on_all!(logs:
        are_kept_for_each_attempt_that_failed,
        can_be_read_while_the_run_goes_on,
        are_added_to_a_history_without_them_and_go_with_it,
    );
}

on_all!(suite:
    runs_should_be_recorded_with_their_ends,
    a_make_up_run_and_skipped_times_should_be_recorded_as_such,
    tables_of_java_should_be_used_as_they_are,
    tables_of_java_without_a_source_should_be_used_too,
    every_run_should_be_on_one_page,
    a_page_should_look_at_some_runs_and_the_next_go_on,
    counts_and_durations_should_be_those_of_the_runs,
    all_runs_of_five_instances_should_be_recorded,
    only_the_jobs_that_are_named_should_be_recorded,
    old_history_should_be_deleted_and_new_kept,
);
