//! The spans of runs as OpenTelemetry gets them, by the recipe of `docs/kubernetes.md`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use elasticjob::job::job;
use elasticjob::prelude::*;
use opentelemetry::trace::{SpanId, Status, TracerProvider as _};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing_subscriber::layer::SubscriberExt as _;

/// Stands for a collector.
#[derive(Clone, Debug, Default)]
struct Collector(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Collector {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(batch);
        Ok(())
    }
}

impl Collector {
    fn spans(&self, name: &str) -> Vec<SpanData> {
        let spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spans.iter().filter(|span| span.name == name).cloned().collect()
    }
}

fn attribute(span: &SpanData, key: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == key);
    found.map(|attribute| attribute.value.to_string()).unwrap_or_default()
}

/// Runs a job of two items, of which the second fails, on one thread with a subscriber that exports.
async fn collected() -> anyhow::Result<Collector> {
    let collector = Collector::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(collector.clone())
        .build();
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("elasticjob"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false);
    let _here = tracing::subscriber::set_default(tracing_subscriber::registry().with(spans));
    let work = async |shard: ShardingContext| {
        let item = shard.sharding_item();
        tracing::info_span!("query").in_scope(|| tracing::info!("at work"));
        if item == 0 { Ok(()) } else { Err("no answer") }
    };
    let builder = ElasticJob::builder()
        .without_discovery()
        .without_files()
        .environment([]);
    let application = builder.job(job("talk", work).sharding(2)).build()?.start().await?;
    let once = application.one_off_named("talk")?;
    once.execute_and_wait(Duration::from_secs(60)).await?;
    application.shutdown(Duration::from_secs(5)).await;
    provider.shutdown()?;
    Ok(collector)
}

mod spans {
    use super::*;

    #[tokio::test]
    async fn lead_from_what_a_job_does_to_its_firing() -> anyhow::Result<()> {
        let collector = collected().await?;
        let [firing] = &collector.spans("firing")[..] else {
            panic!("{:?}", collector.spans("firing"))
        };
        assert_eq!(firing.parent_span_id, SpanId::INVALID);
        assert_eq!(
            (attribute(firing, "job"), attribute(firing, "source")),
            ("talk".into(), "Trigger".into())
        );
        let mut items = collector.spans("item");
        items.sort_by_key(|item| attribute(item, "item"));
        let shown: Vec<_> = items
            .iter()
            .map(|item| (attribute(item, "job"), attribute(item, "item")))
            .collect();
        assert_eq!(shown, [("talk".into(), "0".into()), ("talk".into(), "1".into())]);
        for item in &items {
            assert_eq!(item.parent_span_id, firing.span_context.span_id());
            assert_eq!(item.span_context.trace_id(), firing.span_context.trace_id());
            assert!(!attribute(item, "run").is_empty());
        }
        let of_items: BTreeSet<_> = items
            .iter()
            .map(|item| item.span_context.span_id().to_bytes())
            .collect();
        let parents: BTreeSet<_> = collector
            .spans("query")
            .iter()
            .map(|query| query.parent_span_id.to_bytes())
            .collect();
        assert_eq!(parents, of_items, "what a job does is below its item");
        Ok(())
    }

    #[tokio::test]
    async fn of_items_that_failed_say_so() -> anyhow::Result<()> {
        let collector = collected().await?;
        for item in collector.spans("item") {
            let has_failed = matches!(item.status, Status::Error { .. });
            assert_eq!(has_failed, attribute(&item, "item") == "1", "{:?}", item.status);
        }
        Ok(())
    }

    #[tokio::test]
    async fn have_the_fields_that_the_page_names() -> anyhow::Result<()> {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md"))?;
        let collector = collected().await?;
        for name in ["firing", "item"] {
            let row = page.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
            let cells: Vec<&str> = row.expect("the page has a row for it").split('|').collect();
            let documented: BTreeSet<&str> = cells[2].split('`').skip(1).step_by(2).collect();
            for span in collector.spans(name) {
                let keys: BTreeSet<&str> = span.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
                assert_eq!(keys, documented, "of `{name}`");
            }
        }
        Ok(())
    }
}
