//! The configuration of a job in a browser: looked at, saved, and live in the cluster.

use anyhow::Result;
use elasticjob_tests::browser::Look;

use crate::{is_written, stage, write_picture};

#[tokio::test]
async fn is_changed_by_a_form_that_is_looked_at_first() -> Result<()> {
    for (look, name) in [
        (Look::DESK, "light"),
        (
            Look {
                language: "zh",
                is_dark: true,
                ..Look::DESK
            },
            "chinese",
        ),
        (
            Look {
                width: 360,
                ..Look::DESK
            },
            "narrow",
        ),
    ] {
        let stage = stage(look).await?;
        let browser = &stage.browser;
        stage.open("/jobs/sync_orders").await?;
        browser.click(".tabs a[href$='/config']").await?;
        let set = "document.querySelector('#f-cron').value = '0/7 * * * * ?'; document.querySelector('#f-shardingTotalCount').value = '4'";
        browser.run(set).await?;
        browser.click("#form button[value=check]").await?;
        browser
            .wait_for("document.querySelectorAll('.changes ins').length === 2")
            .await?;
        browser
            .wait_for("document.querySelectorAll('.times-of tbody tr').length === 10")
            .await?;
        let overflow = browser
            .run("return document.scrollingElement.scrollWidth - innerWidth")
            .await?;
        assert!(
            overflow.as_i64().is_some_and(|pixels| pixels <= 0),
            "{name}: {overflow} pixels too wide"
        );
        if is_written() && name == "light" {
            write_picture(browser, &format!("configuration-{name}")).await?;
        }
        browser.click("#form button[value=save]").await?;
        browser.wait_for("document.querySelector('.message.done')").await?;
        stage.open("/jobs/sync_orders?tab=items").await?;
        browser
            .wait_for("document.querySelectorAll('#rows tr').length === 4")
            .await?;
        stage.end().await?;
    }
    Ok(())
}
