//! Where a job may be declared, and what its function and type are called.
use elasticjob::job::Job;
use elasticjob::prelude::*;

fn is_job<J: Job>() -> &'static str {
    J::DECLARATION.name()
}

mod jobs {
    use elasticjob::prelude::*;

    #[elastic_job(sharding = 1)]
    pub(crate) async fn imported() {}

    pub(super) struct Elsewhere;
}

use jobs::imported;

impl Default for jobs::Elsewhere {
    fn default() -> Self {
        Self
    }
}

#[elastic_job(sharding = 1)]
impl SimpleJob for jobs::Elsewhere {
    async fn execute(&self, _: &ShardingContext) -> Result<(), BoxError> {
        Ok(())
    }
}

#[derive(Default)]
struct Generic<T>(T);

#[elastic_job(sharding = 1, name = "generic")]
impl SimpleJob for Generic<u8> {
    fn execute(&self, _: &ShardingContext) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = self.0;
        async { Ok(()) }
    }
}

#[elastic_job(sharding = 1)]
async fn r#async() {}

macro_rules! declare {
    ($name:ident, $cron:expr) => {
        #[elastic_job(cron = $cron)]
        async fn $name() {}
    };
}

declare!(by_macro, "0 0 3 * * ?");

#[test]
fn a_job_is_known_by_every_path() {
    #[elastic_job]
    fn local() {}

    local();
    let names = [
        is_job::<imported>(),
        is_job::<jobs::imported>(),
        is_job::<jobs::Elsewhere>(),
        is_job::<Generic<u8>>(),
        is_job::<r#async>(),
        is_job::<by_macro>(),
        is_job::<local>(),
    ];
    assert_eq!(
        names,
        [
            "imported",
            "imported",
            "Elsewhere",
            "generic",
            "async",
            "by_macro",
            "local"
        ]
    );
}
