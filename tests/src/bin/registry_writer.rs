//! A process that writes to a registry in a SQLite file without pause: `registry_writer FILE NAME`. A test kills it at any moment.
//!
//! Each transaction raises the number in `/job/counter`, from the version that was read, and creates `/job/log/NUMBER` with the
//! name of the process. What was answered is written to standard output: the number, and how many microseconds the turn took.
//! `/job/alive/NAME` lives as long as the session. It ends when its standard input does.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use anyhow::{Context as _, bail};
use elasticjob::registry::sql::SqliteRegistry;
use elasticjob::registry::{Answer, CreateMode, Error, Read, Registry, Session, SessionState, Step};
use tokio::time::Instant;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // A thread that blocks: nothing of the runtime has to wait for it.
    std::thread::spawn(|| {
        let ended = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(i32::from(ended.is_err()));
    });
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().context("FILE is missing")?;
    let name = arguments.next().context("NAME is missing")?;
    let registry = SqliteRegistry::new(file, "writers")?
        .with_session_timeout(Duration::from_secs(3))
        .with_connection_timeout(Duration::from_secs(30));
    let session = registry.connect().await?;
    prepare(&*session, &name).await?;
    loop {
        let began = Instant::now();
        match raise(&*session, &name).await {
            Ok(Some(number)) => {
                let mut output = std::io::stdout().lock();
                writeln!(output, "{number} {}", began.elapsed().as_micros())?;
            }
            // Another process was faster.
            Ok(None) => {}
            // Whether it happened is for the test to find out: here it goes on.
            Err(Error::ConnectionLoss) => back(&*session).await?,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Creates what is not there. A connection that is lost on the way, on a busy machine, ends nothing.
async fn prepare(session: &dyn Session, name: &str) -> anyhow::Result<()> {
    let persistent =
        ["/job", "/job/counter", "/job/log", "/job/alive"].map(|path| (path.to_owned(), CreateMode::Persistent));
    let alive = (format!("/job/alive/{name}"), CreateMode::Ephemeral);
    for (path, mode) in persistent.into_iter().chain([alive]) {
        while let Err(error) = session.write(vec![create(&path, b"0", mode)]).await {
            match error.error {
                Error::NodeExists => break,
                Error::ConnectionLoss => back(session).await?,
                _ => bail!(error),
            }
        }
    }
    Ok(())
}

/// Waits until the session is connected again, or over.
async fn back(session: &dyn Session) -> anyhow::Result<()> {
    let mut state = session.state();
    state.wait_for(|state| *state != SessionState::Suspended).await?;
    Ok(())
}

/// Raises the number; `None` if another process did.
async fn raise(session: &dyn Session, name: &str) -> Result<Option<u64>, Error> {
    let path = "/job/counter".to_owned();
    let answers = session.read_at_once(vec![Read::Data(path.clone())]).await?;
    let [Answer::Data(Some((data, stat)))] = &answers[..] else {
        return Err(Error::NoNode);
    };
    let number = String::from_utf8_lossy(data).parse::<u64>();
    let number = number.map_err(|error| Error::InvalidArgument(error.to_string()))? + 1;
    let steps = vec![
        create(&format!("/job/log/{number}"), name.as_bytes(), CreateMode::Persistent),
        Step::Set {
            path,
            data: number.to_string().into_bytes(),
            version: Some(stat.version),
        },
    ];
    match session.write(steps).await {
        Ok(_) => Ok(Some(number)),
        Err(error) if matches!(error.error, Error::NodeExists | Error::BadVersion) => Ok(None),
        Err(error) => Err(error.error),
    }
}

fn create(path: &str, data: &[u8], mode: CreateMode) -> Step {
    Step::Create {
        path: path.into(),
        data: data.into(),
        mode,
    }
}
