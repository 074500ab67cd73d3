//! Orders in a table are settled, batch after batch for as long as there are any, by as many processes as are started.
//! Kill one of them at any moment: no order is lost, and none is settled twice.

mod database;

use std::io::IsTerminal as _;
use std::path::PathBuf;

use anyhow::Context as _;
use elasticjob::prelude::*;

use database::{Database, Order};

/// Settles the orders of a city.
#[derive(Inject)]
struct SettleOrders {
    database: Component<Database>,
}

#[elastic_job(name = "settle_orders", cron = "0/5 * * * * ?", sharding = 3, failover, streaming)]
impl DataflowJob for SettleOrders {
    type Item = Order;

    async fn fetch(&self, shard: &ShardingContext) -> Result<Vec<Order>, BoxError> {
        Ok(self.database.open_orders(city(shard)?).await?)
    }

    async fn process(&self, shard: &ShardingContext, orders: Vec<Order>) -> Result<(), BoxError> {
        let city = city(shard)?;
        self.database.settle(city, &orders, shard.fencing_token()).await?;
        println!("settled {} orders of {city} on {}", orders.len(), shard.instance_id());
        Ok(())
    }
}

fn city(shard: &ShardingContext) -> Result<&str, BoxError> {
    Ok(shard.sharding_parameter().ok_or("the item has no city")?)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_ansi(std::io::stdout().is_terminal())
        .compact()
        .without_time()
        .with_target(false)
        .init();
    let path = match std::env::var_os("DATABASE") {
        Some(path) => PathBuf::from(path),
        None => std::env::temp_dir().join("elasticjob-dataflow.db"),
    };
    let database = Database::open(&path).await;
    let database = database.with_context(|| format!("cannot open {}", path.display()))?;
    if let Some(count) = std::env::args().nth(1) {
        let count = count
            .parse()
            .context("the argument is how many orders are to be added")?;
        database.add_orders(count).await?;
        println!("added {count} orders for each city to {}", path.display());
    }
    let builder = ElasticJob::builder().directory(env!("CARGO_MANIFEST_DIR"));
    Ok(builder.component(database).build()?.run().await?)
}
