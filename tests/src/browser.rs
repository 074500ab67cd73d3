//! A browser that tests drive: Debian's Chromium, through its WebDriver server.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use fantoccini::wd::{TimeoutConfiguration, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};

/// Longer than a page takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one window. Dropping it kills the browser and its server.
pub struct Browser {
    client: Client,
    driver: Child,
}

/// How a browser shows pages.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The width of the window, in pixels.
    pub width: u32,
    /// Whether the system of the visitor prefers dark pages.
    pub is_dark: bool,
    /// What the visitor reads: `en`, `zh`.
    pub language: &'static str,
}

impl Look {
    /// A wide, light window in English.
    pub const DESK: Self = Self {
        width: 1440,
        is_dark: false,
        language: "en",
    };
}

impl Browser {
    /// Starts a browser.
    ///
    /// # Errors
    /// If the programs `chromedriver` and `chromium` are not there, or do not start.
    pub async fn start(look: Look) -> Result<Self> {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("chromedriver cannot be started: is the package chromium-driver installed?")?;
        let output = driver.stdout.take().context("it is piped")?;
        let mut lines = BufReader::new(output).lines().map_while(std::result::Result::ok);
        let said = lines.find_map(|line| {
            line.split_once("successfully on port ")
                .map(|(_, port)| port.trim_end_matches('.').to_owned())
        });
        let port = said.context("chromedriver says no port")?;
        // What it says later has to go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        let mut arguments = vec![
            "--headless".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-quic".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--hide-scrollbars".to_owned(),
            format!("--accept-lang={}", look.language),
            format!("--window-size={},900", look.width.max(500)),
        ];
        if look.is_dark {
            arguments.push("--force-dark-mode".to_owned());
        }
        let capabilities = json!({
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let Value::Object(capabilities) = capabilities else {
            bail!("it is an object")
        };
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await;
        let client = match client {
            Ok(client) => client,
            Err(error) => {
                let _ = driver.kill();
                return Err(error).context("chromium does not start");
            }
        };
        let browser = Self { client, driver };
        browser
            .client
            .update_timeouts(TimeoutConfiguration::new(Some(PATIENCE), Some(PATIENCE), None))
            .await?;
        browser.show(look).await?;
        Ok(browser)
    }

    /// Shows pages so: headless windows are at least 500 pixels wide by themselves.
    async fn show(&self, look: Look) -> Result<()> {
        let width = look.width;
        let is_mobile = width < 500;
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": is_mobile }),
        )
        .await?;
        let scheme = if look.is_dark { "dark" } else { "light" };
        self.devtools(
            "Emulation.setEmulatedMedia",
            json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }),
        )
        .await?;
        Ok(())
    }

    /// Opens an address.
    ///
    /// # Errors
    /// If it cannot be loaded.
    pub async fn open(&self, url: &str) -> Result<()> {
        Ok(self.client.goto(url).await?)
    }

    /// Returns the address that is open.
    ///
    /// # Errors
    /// If the browser is gone.
    pub async fn url(&self) -> Result<String> {
        Ok(self.client.current_url().await?.to_string())
    }

    /// Clicks on the first element that this CSS selector finds, once it is there.
    ///
    /// # Errors
    /// If there is none within a minute.
    pub async fn click(&self, selector: &str) -> Result<()> {
        let wait = self.client.wait().at_most(PATIENCE);
        let element = wait
            .for_element(Locator::Css(selector))
            .await
            .with_context(|| selector.to_owned())?;
        element.click().await.with_context(|| selector.to_owned())
    }

    /// Types a text into the first element that this CSS selector finds.
    ///
    /// # Errors
    /// If there is none within a minute.
    pub async fn type_into(&self, selector: &str, text: &str) -> Result<()> {
        let wait = self.client.wait().at_most(PATIENCE);
        let element = wait
            .for_element(Locator::Css(selector))
            .await
            .with_context(|| selector.to_owned())?;
        Ok(element.send_keys(text).await?)
    }

    /// Calls a function body in the page, and returns what it returns.
    ///
    /// # Errors
    /// If it throws.
    pub async fn run(&self, script: &str) -> Result<Value> {
        self.client
            .execute(script, Vec::new())
            .await
            .with_context(|| script.to_owned())
    }

    /// Waits until a JavaScript expression is true. One that fails, such as since a page that is being left lacks the element, is not true
    /// yet.
    ///
    /// # Errors
    /// If it is not within a minute; the error has what the expression came to last, and the text of the page.
    pub async fn wait_for(&self, condition: &str) -> Result<()> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let evaluation = format!("try {{ return Boolean({condition}) }} catch (error) {{ return String(error) }}");
        let mut found = Value::Null;
        while tokio::time::Instant::now() < deadline {
            found = self.run(&evaluation).await?;
            if found == Value::Bool(true) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let page = self.run("return document.body.innerText").await?;
        bail!("`{condition}` did not come true in a minute, but {found}: {page}")
    }

    /// Returns what the page reported since the last call: errors of scripts, and all that its policy refused.
    ///
    /// # Errors
    /// If the browser is gone.
    pub async fn complaints(&self) -> Result<Vec<String>> {
        let entries = self
            .client
            .issue_cmd(Custom("se/log", json!({ "type": "browser" })))
            .await?;
        let entries = entries.as_array().cloned().unwrap_or_default();
        let is_severe = |entry: &&Value| entry["level"] != "INFO" && entry["level"] != "DEBUG";
        Ok(entries
            .iter()
            .filter(is_severe)
            .map(|entry| entry["message"].to_string())
            .collect())
    }

    /// Returns a picture of the whole page, as PNG.
    ///
    /// # Errors
    /// If the browser is gone.
    pub async fn picture(&self) -> Result<Vec<u8>> {
        Ok(self.client.screenshot().await?)
    }

    /// Ends the browser.
    pub async fn close(self) {
        let _ = self.client.clone().close().await;
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Result<Value> {
        let call = Custom("goog/cdp/execute", json!({ "cmd": command, "params": parameters }));
        Ok(self.client.issue_cmd(call).await?)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its browsers end with it.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// A command that Chromium has beside those of the standard.
#[derive(Debug)]
struct Custom(&'static str, Value);

impl WebDriverCompatibleCommand for Custom {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> std::result::Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.0))
    }

    fn method_and_body(&self, _url: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.1.to_string()))
    }
}
