//! The history and the log of a run in a browser, served by an example that records them.

use anyhow::{Context as _, Result};
use elasticjob_tests::browser::{Browser, Look};

use crate::program::Program;
use crate::{address, is_written, write_picture};

/// Starts the example, and a browser that has opened its console.
async fn stage(look: Look, url: &str) -> Result<(Browser, String, Program)> {
    let mut observed = Program::example("observed")
        .environment("ELASTICJOB_TRACING_DATA_SOURCE_URL", url)
        .environment("ELASTICJOB_METRICS_PORT", "0")
        .environment("ELASTICJOB_CONSOLE_PORT", "0")
        .start();
    let url = address(&mut observed);
    let (origin, _) = url.split_once("/?key=").context("it has its key")?;
    let browser = Browser::start(look).await?;
    browser.open(&url).await?;
    Ok((browser, origin.to_owned(), observed))
}

#[tokio::test]
async fn leads_from_the_list_to_the_error_and_the_log_of_a_run() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let url = format!("sqlite:{}/history.db", directory.path().display());
    for (number, look) in [
        Look::DESK,
        Look {
            language: "zh",
            is_dark: true,
            ..Look::DESK
        },
        Look {
            width: 360,
            ..Look::DESK
        },
    ]
    .into_iter()
    .enumerate()
    {
        let (browser, origin, observed) = stage(look, &url).await?;
        browser.click("body > nav a[href$='/history']").await?;
        // Runs come by themselves, without a new page.
        browser.run("window.stays = true").await?;
        browser
            .wait_for("document.querySelectorAll('.runs tbody tr').length >= 40 && window.stays")
            .await?;
        for (path, name) in [("/history", "history"), ("/history?by=host", "hosts")] {
            browser.open(&format!("{origin}{path}")).await?;
            browser.wait_for("document.querySelector('.histogram rect')").await?;
            fits(&browser, path).await?;
            write(&browser, name, number).await?;
        }
        browser.open(&format!("{origin}/history?q=is:failed&by=error")).await?;
        browser.wait_for("document.querySelector('.groups tbody tr')").await?;
        fits(&browser, "errors").await?;
        browser.click(".groups tbody tr td:last-child a").await?;
        browser.wait_for("document.querySelector('.failure')").await?;
        let text = browser
            .run("return document.querySelector('main').innerText")
            .await?
            .to_string();
        assert!(
            text.contains("does not answer") && text.contains("DEBUG observed: asking market="),
            "{text}"
        );
        fits(&browser, "run").await?;
        write(&browser, "run", number).await?;
        assert_eq!(browser.complaints().await?, [""; 0]);
        browser.close().await;
        assert_eq!(observed.terminate(), Some(0));
    }
    Ok(())
}

/// The pictures of `docs/console.md`.
const DOCUMENTED: [&str; 3] = ["history-light", "history-narrow", "run-chinese"];

/// Writes a picture, if it is one of the documents.
async fn write(browser: &Browser, page: &str, number: usize) -> Result<()> {
    let name = format!("{page}-{}", ["light", "chinese", "narrow"][number]);
    if is_written() && DOCUMENTED.contains(&&*name) {
        write_picture(browser, &name).await?;
    }
    Ok(())
}

async fn fits(browser: &Browser, page: &str) -> Result<()> {
    let overflow = browser
        .run("return document.scrollingElement.scrollWidth - innerWidth")
        .await?;
    assert!(
        overflow.as_i64().is_some_and(|pixels| pixels <= 0),
        "{page}: {overflow} pixels too wide"
    );
    Ok(())
}
