//! Two jobs that share a connection pool.

mod pool;

use std::io::IsTerminal as _;
use std::time::Duration;

use elasticjob::prelude::*;

use pool::Pool;

/// Bills one city: a function takes components as parameters.
#[elastic_job(
    cron = "0/2 * * * * ?",
    sharding = 3,
    item_parameters = "0=Beijing,1=Shanghai,2=Guangzhou"
)]
async fn bill_city(city: ItemParameter<String>, pool: Component<Pool>) {
    let connection = pool.get().await;
    // What a database would take.
    tokio::time::sleep(Duration::from_millis(100)).await;
    connection.add_bill(&city);
    println!("billed {} on connection {}", *city, connection.id());
}

/// Reports what was billed: a type has its components in its fields.
#[derive(Inject)]
struct Report {
    pool: Component<Pool>,
}

#[elastic_job(name = "report", cron = "1/4 * * * * ?", sharding = 1)]
impl SimpleJob for Report {
    async fn execute(&self, _shard: &ShardingContext) -> Result<(), BoxError> {
        let connection = self.pool.get().await;
        println!("bills so far: {:?}", connection.bills());
        Ok(())
    }
}

#[tokio::main]
async fn main() -> elasticjob::Result<()> {
    tracing_subscriber::fmt()
        .with_ansi(std::io::stdout().is_terminal())
        .compact()
        .without_time()
        .with_target(false)
        .init();
    ElasticJob::builder()
        .directory(env!("CARGO_MANIFEST_DIR"))
        .component(Pool::open(2))
        .build()?
        .run()
        .await
}
