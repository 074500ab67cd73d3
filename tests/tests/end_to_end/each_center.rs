//! The core of it on each registry centre, by one parameter: the items are shared without gap or overlap while members join, leave, die
//! and are disabled; the configuration changes while jobs run; what a dead member ran is run again; outcomes are known; a restart of the server
//! stops nothing.

use elasticjob_tests::center::{Center, Kind};

/// Runs tests of other modules on one registry centre.
macro_rules! tests_on {
    ($kind:ident: $($module:ident::$test:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $test() -> anyhow::Result<()> {
            let center = tokio::task::block_in_place(|| Center::shared(Kind::$kind))?;
            crate::$module::$test(&center).await
        }
    )*};
}

macro_rules! core_on {
    ($name:ident: $kind:ident) => {
        mod $name {
            use super::*;

            tests_on!($kind:
                sharing::assigns_all_items_as_members_come_and_go,
                sharing::moves_items_of_a_killed_member,
                sharing::assigns_nothing_to_a_disabled_member,
                configuration::a_new_cron_expression_should_be_followed_at_once,
                configuration::a_new_total_count_should_be_shared_out_at_once,
                failover::reruns_only_what_a_killed_member_ran,
                one_off::knows_the_outcome_of_each_item,
            );
        }
    };
}

/// A server of its own is killed and started again.
macro_rules! restart_of {
    ($name:ident: $kind:ident) => {
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn survives_a_short_restart_of_the_server() -> anyhow::Result<()> {
                let mut center = tokio::task::block_in_place(|| Center::start(Kind::$kind))?;
                crate::outages::survives_a_short_restart_of_the_server(&mut center).await
            }
        }
    };
}

core_on!(on_zookeeper: ZooKeeper);
core_on!(on_postgresql: Postgres);
restart_of!(restart_of_zookeeper: ZooKeeper);
restart_of!(restart_of_postgresql: Postgres);
core_on!(on_sqlite: Sqlite);
core_on!(on_etcd: Etcd);
restart_of!(restart_of_etcd: Etcd);
