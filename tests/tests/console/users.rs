//! Users of a console: from the login to the log-out.

use std::path::Path;

use anyhow::Result;
use elasticjob_tests::browser::{Browser, Look};

use crate::address;
use crate::program::Program;

/// The hash of `tiger`.
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$0YBkQC5H1aJ0mtMpY5bT/A$pf8aCq9AZu1V5nwxypw+08DbW/Kl7TzPDPJ4ZuUqXMU";

/// The quickstart with an admin and a viewer, and a browser that has opened its address.
struct Stage {
    browser: Browser,
    origin: String,
    quickstart: Program,
}

async fn stage(look: Look) -> Result<Stage> {
    let mut quickstart = Program::example("quickstart")
        .environment("ELASTICJOB_CONSOLE_PORT", "0")
        .environment("ELASTICJOB_CONSOLE_USERS_ALICE_PASSWORD_HASH", HASH)
        .environment("ELASTICJOB_CONSOLE_USERS_ALICE_ROLE", "admin")
        .environment("ELASTICJOB_CONSOLE_USERS_EVE_PASSWORD_HASH", HASH)
        .environment("ELASTICJOB_CONSOLE_USERS_EVE_JOBS", "other-*")
        .start();
    let origin = address(&mut quickstart);
    let browser = Browser::start(look).await?;
    browser.open(&format!("{origin}/jobs/sync_orders?tab=items")).await?;
    Ok(Stage {
        browser,
        origin,
        quickstart,
    })
}

impl Stage {
    async fn log_in(&self, name: &str, password: &str) -> Result<()> {
        self.browser.type_into("input[name=name]", name).await?;
        self.browser.type_into("input[name=password]", password).await?;
        self.browser.click("button.primary").await
    }

    async fn end(self) -> Result<()> {
        self.browser.close().await;
        assert_eq!(self.quickstart.terminate(), Some(0));
        Ok(())
    }
}

#[tokio::test]
async fn log_in_work_and_log_out() -> Result<()> {
    let stage = stage(Look::DESK).await?;
    let browser = &stage.browser;
    stage.log_in("alice", "lion").await?;
    browser
        .wait_for("document.querySelector('[role=alert]')?.innerText.includes('wrong')")
        .await?;
    stage.log_in("", "tiger").await?;
    // The page that was wanted, with what an admin may do.
    browser
        .wait_for("document.querySelectorAll('.items form[action$=\"/trigger\"]').length === 3")
        .await?;
    assert!(browser.url().await?.ends_with("/jobs/sync_orders?tab=items"));

    browser.open(&format!("{}/settings", stage.origin)).await?;
    browser.type_into("#tokens input[name=name]", "ci").await?;
    browser.click("#tokens .fields button").await?;
    browser
        .wait_for("/^ej_[0-9A-Za-z]{40}$/.test(document.querySelector('.token').innerText)")
        .await?;
    browser.click("#tokens td.buttons button").await?;
    browser
        .wait_for("document.querySelector('.message.done')?.innerText.includes('ci')")
        .await?;
    browser
        .wait_for("document.querySelectorAll('#tokens tbody tr').length === 0")
        .await?;

    browser.click("button[data-choose-theme=dark]").await?;
    browser
        .wait_for("getComputedStyle(document.body).backgroundColor === 'rgb(13, 17, 23)'")
        .await?;
    // Only the answer to the wrong password is no success.
    let complaints = browser.complaints().await?;
    assert!(
        complaints.iter().all(|complaint| complaint.contains("401")),
        "{complaints:?}"
    );
    browser.click(".who button").await?;
    browser.wait_for("document.querySelector('body.login')").await?;
    browser.open(&format!("{}/jobs", stage.origin)).await?;
    browser.wait_for("document.querySelector('body.login')").await?;
    stage.end().await
}

#[tokio::test]
async fn are_led_to_the_login_when_their_session_ends() -> Result<()> {
    let stage = stage(Look::DESK).await?;
    stage.log_in("alice", "tiger").await?;
    stage
        .browser
        .wait_for("document.querySelector('.standing.live')")
        .await?;
    // Another tab of the browser logs out.
    stage.browser.run("fetch('/logout', { method: 'POST' })").await?;
    stage.browser.wait_for("document.querySelector('body.login')").await?;
    assert!(stage.browser.url().await?.contains("return=%2Fjobs%2Fsync_orders"));
    stage.end().await
}

#[tokio::test]
async fn see_their_own_jobs_alone() -> Result<()> {
    let stage = stage(Look::DESK).await?;
    stage.log_in("eve", "tiger").await?;
    let browser = &stage.browser;
    browser
        .wait_for("document.querySelector('.sentence').innerText.includes('There is no job sync_orders')")
        .await?;
    browser.open(&format!("{}/jobs", stage.origin)).await?;
    browser.wait_for("document.querySelector('.standing.live')").await?;
    assert_eq!(
        browser.run("return document.body.innerText.includes('sync')").await?,
        false
    );
    stage.end().await
}

#[tokio::test]
async fn have_pages_that_fit_in_both_languages() -> Result<()> {
    let looks = [
        (Look::DESK, "light"),
        (
            Look {
                is_dark: true,
                language: "zh",
                ..Look::DESK
            },
            "dark-chinese",
        ),
        (
            Look {
                width: 360,
                ..Look::DESK
            },
            "narrow",
        ),
    ];
    for (look, name) in looks {
        let stage = stage(look).await?;
        let browser = &stage.browser;
        for page in ["login", "settings", "audit"] {
            if page == "settings" {
                stage.log_in("alice", "tiger").await?;
                browser.wait_for("document.querySelector('#actions')").await?;
                browser.open(&format!("{}/settings", stage.origin)).await?;
                browser.type_into("#tokens input[name=name]", "nightly-build").await?;
                browser.click("#tokens .fields button").await?;
                browser.wait_for("document.querySelector('.token')").await?;
            }
            if page == "audit" {
                browser.open(&format!("{}/settings/audit", stage.origin)).await?;
                let done = "document.querySelectorAll('.audit .square.succeeded').length";
                assert_eq!(browser.run(&format!("return {done}")).await?, 2, "a login and a token");
            }
            let overflow = browser
                .run("return document.scrollingElement.scrollWidth - innerWidth")
                .await?;
            assert!(
                overflow.as_i64().is_some_and(|pixels| pixels <= 0),
                "{name} {page}: {overflow} pixels too wide"
            );
            if std::env::var_os("WRITE_SCREENSHOTS").is_some() && (page, name) == ("settings", "light") {
                let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/console/settings-light.png");
                std::fs::write(file, browser.picture().await?)?;
            }
        }
        stage.end().await?;
    }
    Ok(())
}
