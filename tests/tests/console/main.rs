//! The console in a real browser, served by the quickstart as its reader starts it.
//!
//! With `WRITE_SCREENSHOTS=1` the last test writes the pictures of `docs/console.md`.

#[path = "../program/mod.rs"]
#[expect(dead_code, reason = "other tests start other programs, and read all that they say")]
mod program;
mod users;

mod configuration;
mod past;

use std::path::Path;

use anyhow::{Context as _, Result};
use elasticjob_tests::browser::{Browser, Look};

use program::Program;

/// The quickstart, and a browser that has opened the address in its log.
struct Stage {
    browser: Browser,
    origin: String,
    quickstart: Program,
}

/// Waits until a program has logged the address of its console; returns that.
fn address(program: &mut Program) -> String {
    loop {
        let line = program.wait_for("");
        let url = line
            .split_once("console open url=\"")
            .and_then(|(_, rest)| rest.split_once('"'));
        if let Some((url, _)) = url {
            return url.to_owned();
        }
    }
}

async fn stage(look: Look) -> Result<Stage> {
    let mut quickstart = Program::example("quickstart")
        .environment("ELASTICJOB_CONSOLE_PORT", "0")
        .start();
    let url = address(&mut quickstart);
    let (origin, _) = url.split_once("/?key=").context("it has its key")?;
    let browser = Browser::start(look).await?;
    browser.open(&url).await?;
    Ok(Stage {
        browser,
        origin: origin.to_owned(),
        quickstart,
    })
}

impl Stage {
    /// Opens a page of the console.
    async fn open(&self, path: &str) -> Result<()> {
        self.browser.open(&format!("{}{path}", self.origin)).await
    }

    /// Ends all in order: no page may have complained.
    async fn end(self) -> Result<()> {
        assert_eq!(self.browser.complaints().await?, [""; 0]);
        self.browser.close().await;
        assert_eq!(self.quickstart.terminate(), Some(0));
        Ok(())
    }
}

/// Returns whether the pictures of the documents are to be written.
fn is_written() -> bool {
    std::env::var_os("WRITE_SCREENSHOTS").is_some()
}

/// Writes a picture of the documents.
async fn write_picture(browser: &Browser, name: &str) -> Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/console/{name}.png"));
    std::fs::create_dir_all(file.parent().context("it is in a directory")?)?;
    std::fs::write(file, browser.picture().await?)?;
    Ok(())
}

/// An expression that is true once so many items of the first job have succeeded.
fn succeeded(items: usize) -> String {
    format!("document.querySelectorAll('#rows tr:first-child .square.succeeded').length === {items}")
}

#[tokio::test]
async fn shows_a_newcomer_three_items_that_run_live() -> Result<()> {
    let stage = stage(Look::DESK).await?;
    let browser = &stage.browser;
    // The key has left the address.
    assert!(!browser.url().await?.contains("key="));
    browser.run("window.stays = true").await?;
    browser.wait_for(&succeeded(3)).await?;
    browser
        .wait_for("document.querySelector('.band').innerText.includes('1 job, 3 items on 1 instance')")
        .await?;
    browser.click("#rows a").await?;
    browser
        .wait_for("document.querySelector('h1').innerText === 'sync_orders'")
        .await?;
    browser.run("window.stays = true").await?;
    // A column comes with each firing, and the page is not loaded again for it.
    let columns = "document.querySelectorAll('.heads a').length";
    browser.wait_for(&format!("{columns} >= 2")).await?;
    let before = browser.run(&format!("return {columns}")).await?;
    browser.wait_for(&format!("{columns} > {before}")).await?;
    browser.wait_for("window.stays === true").await?;
    stage.end().await
}

#[tokio::test]
async fn triggers_a_job_and_shows_its_runs() -> Result<()> {
    let mut stage = stage(Look::DESK).await?;
    stage.open("/jobs/sync_orders").await?;
    stage.browser.click("#run summary").await?;
    stage.browser.type_into("#run input", "今天").await?;
    stage.browser.click("#run form button").await?;
    stage
        .browser
        .wait_for("document.querySelector('.message.done').innerText.includes('sync_orders was triggered')")
        .await?;
    stage
        .browser
        .wait_for("document.querySelector('.heads a.trigger')")
        .await?;
    stage.browser.click(".heads a.trigger").await?;
    stage
        .browser
        .wait_for("document.querySelectorAll('#firing tbody tr').length === 3")
        .await?;
    // The page may be there before the runs have ended.
    for said in ["triggered", "succeeded"] {
        let is_said = format!("document.querySelector('#firing').innerText.includes('{said}')");
        stage.browser.wait_for(&is_said).await?;
    }
    // The program has run it, too.
    assert!(stage.quickstart.said().contains("item 2 (Guangzhou)"));
    stage.end().await
}

#[tokio::test]
async fn switches_a_job_off_with_a_reason_and_on_in_both_languages() -> Result<()> {
    for (language, off, on) in [("en", "is switched off", "is switched on"), ("zh", "已停用", "已启用")] {
        let stage = stage(Look { language, ..Look::DESK }).await?;
        let browser = &stage.browser;
        stage.open("/jobs/sync_orders").await?;
        browser.click("#off summary").await?;
        browser.type_into("#off input", "换盘 <b>").await?;
        browser.click("#off form button").await?;
        browser
            .wait_for(&format!(
                "document.querySelector('.message.done').innerText.includes('{off}')"
            ))
            .await?;
        browser
            .wait_for("document.querySelector('.sentence').innerText.includes('换盘 <b>')")
            .await?;
        stage.open("/jobs?is=off").await?;
        browser
            .wait_for("document.querySelectorAll('#rows tr').length === 1")
            .await?;
        stage.open("/jobs/sync_orders").await?;
        browser.click("#actions form[action$='/enable'] button").await?;
        browser
            .wait_for(&format!(
                "document.querySelector('.message.done').innerText.includes('{on}')"
            ))
            .await?;
        browser
            .wait_for("!document.querySelector('.sentence').innerText.includes('换盘')")
            .await?;
        stage.end().await?;
    }
    Ok(())
}

#[tokio::test]
async fn keeps_what_a_visitor_does_while_the_page_changes() -> Result<()> {
    let stage = stage(Look::DESK).await?;
    let browser = &stage.browser;
    stage.open("/jobs/sync_orders").await?;
    browser.click("#why summary").await?;
    browser.click("#run summary").await?;
    browser.type_into("#run input", "half a wo").await?;
    let columns = "document.querySelectorAll('.heads a').length";
    let before = browser.run(&format!("return {columns}")).await?;
    browser.wait_for(&format!("{columns} > {before} + 1")).await?;
    for kept in [
        "document.querySelector('#why').open",
        "document.querySelector('#run').open",
        "document.querySelector('#run input').value === 'half a wo'",
        "document.activeElement === document.querySelector('#run input')",
    ] {
        assert_eq!(browser.run(&format!("return {kept}")).await?, true, "{kept}");
    }
    // Escape closes the dialogue; the slash leads to the search.
    browser.type_into("#run input", "\u{e00c}").await?;
    browser.wait_for("!document.querySelector('#run').open").await?;
    browser.run("document.activeElement.blur()").await?;
    browser.type_into("body", "/").await?;
    browser
        .wait_for("document.activeElement.matches('.search input')")
        .await?;
    stage.end().await
}

#[tokio::test]
async fn says_that_it_is_away_and_recovers() -> Result<()> {
    let stage = stage(Look::DESK).await?;
    let browser = &stage.browser;
    browser.wait_for(&succeeded(3)).await?;
    stage.quickstart.kill();
    browser
        .wait_for("document.documentElement.classList.contains('not-live')")
        .await?;
    // Another process takes the port; the key in the file is the same.
    let port = stage.origin.rsplit(':').next().context("it has a port")?;
    let mut quickstart = Program::example("quickstart")
        .environment("ELASTICJOB_CONSOLE_PORT", port)
        .start();
    quickstart.wait_for(" INFO console open url=\"");
    browser
        .wait_for("!document.documentElement.classList.contains('not-live')")
        .await?;
    stage.browser.close().await;
    assert_eq!(quickstart.terminate(), Some(0));
    Ok(())
}

/// The pictures of `docs/console.md`.
const DOCUMENTED: [(&str, &str); 4] = [
    ("jobs", "light"),
    ("matrix", "dark"),
    ("items", "chinese"),
    ("jobs", "narrow"),
];

#[tokio::test]
async fn fits_wide_and_narrow_windows_in_light_and_dark() -> Result<()> {
    let pages = [
        ("/jobs", "jobs"),
        ("/jobs/sync_orders", "matrix"),
        ("/jobs/sync_orders?tab=items", "items"),
        ("/jobs/sync_orders?tab=schedule", "schedule"),
        ("/servers", "servers"),
    ];
    for (look, name) in [
        (Look::DESK, "light"),
        (
            Look {
                is_dark: true,
                ..Look::DESK
            },
            "dark",
        ),
        (
            Look {
                language: "zh",
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
        browser.wait_for(&succeeded(3)).await?;
        for (path, page) in pages {
            stage.open(path).await?;
            browser.wait_for("document.querySelector('.standing.live')").await?;
            let overflow = browser
                .run("return document.scrollingElement.scrollWidth - innerWidth")
                .await?;
            assert!(
                overflow.as_i64().is_some_and(|pixels| pixels <= 0),
                "{name} {path}: {overflow} pixels too wide"
            );
            let ground = browser
                .run("return getComputedStyle(document.body).backgroundColor")
                .await?;
            assert_eq!(
                ground,
                if look.is_dark {
                    "rgb(13, 17, 23)"
                } else {
                    "rgb(255, 255, 255)"
                },
                "{name} {path}"
            );
            if is_written() && DOCUMENTED.contains(&(page, name)) {
                // A picture of a page that was open for a while.
                browser
                    .wait_for("document.querySelectorAll('.heads a').length >= 10 || !document.querySelector('.heads')")
                    .await?;
                write_picture(browser, &format!("{page}-{name}")).await?;
            }
        }
        stage.end().await?;
    }
    Ok(())
}
