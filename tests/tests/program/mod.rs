//! Programs of the workspace as processes of their own, and what they say.

use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use elasticjob_tests::programs::program;
use rustix::process::{Pid, Signal, kill_process};

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until `condition` gives something.
///
/// # Panics
/// When it does not within a minute.
pub(crate) fn wait<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
        if let Some(found) = condition() {
            return found;
        }
        std::thread::sleep(PAUSE);
    }
    panic!("waited in vain for {what}");
}

/// A running program. Dropping it kills the process.
pub(crate) struct Program {
    child: Child,
    /// Lines of both outputs. Unbounded: a program that is not read must not block.
    lines: Receiver<String>,
    seen: Vec<String>,
}

/// A program that is to be started.
pub(crate) struct Prepared(Command);

impl Program {
    /// Returns an example, as it is in the source now.
    pub(crate) fn example(name: &str) -> Prepared {
        // Another directory than the example's, so that it proves to find its configuration.
        let mut command = Command::new(program(name));
        command.current_dir(std::env::temp_dir());
        Prepared(command)
    }

    /// Returns a program of this package.
    pub(crate) fn own(path: &str) -> Prepared {
        Prepared(Command::new(path))
    }

    /// What it has said since the last call.
    pub(crate) fn new_lines(&mut self) -> Vec<String> {
        let lines: Vec<String> = self.lines.try_iter().collect();
        // What goes to a pipe is read by programs.
        assert!(lines.iter().all(|line| !line.contains('\u{1b}')), "colours: {lines:?}");
        self.seen.extend_from_slice(&lines);
        lines
    }

    /// All that it has said so far.
    pub(crate) fn said(&mut self) -> String {
        self.new_lines();
        self.seen.join("\n")
    }

    /// Waits for a line that begins so, and returns the rest of it.
    pub(crate) fn wait_for(&mut self, beginning: &str) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let rest = line.strip_prefix(beginning).map(ToOwned::to_owned);
                    self.seen.push(line);
                    if let Some(rest) = rest {
                        return rest;
                    }
                }
                Err(error) => panic!("no line `{beginning}` ({error}) after\n{}", self.seen.join("\n")),
            }
        }
    }

    /// Asks it to end (SIGTERM), and waits until it has; its exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).expect("the process is there until it is waited for");
        self.exit_code()
    }

    /// Waits until it ends by itself; its exit code and all it said.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let code = self.exit_code();
        // The outputs are closed, so this ends.
        self.seen.extend(self.lines.iter());
        (code, self.seen.join("\n"))
    }

    /// Ends it without warning (SIGKILL).
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("the process is there until it is waited for");
        self.child.wait().expect("it is our child");
    }

    fn exit_code(&mut self) -> Option<i32> {
        let child = &mut self.child;
        wait("the program to end", || child.try_wait().expect("it is our child")).code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prepared {
    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// Starts it in this working directory.
    pub(crate) fn directory(mut self, path: &Path) -> Self {
        self.0.current_dir(path);
        self
    }

    pub(crate) fn argument(mut self, text: &str) -> Self {
        self.0.arg(text);
        self
    }

    pub(crate) fn start(mut self) -> Program {
        let mut child = self
            .0
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program is built");
        let (sender, lines) = channel();
        forward(child.stdout.take(), sender.clone());
        forward(child.stderr.take(), sender);
        Program {
            child,
            lines,
            seen: Vec::new(),
        }
    }
}

/// Sends on what comes out, line by line, until it is closed.
fn forward(output: Option<impl Read + Send + 'static>, lines: Sender<String>) {
    let output = BufReader::new(output.expect("it is piped"));
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            // The reader may be gone; the program must not block all the same.
            let _ = lines.send(line);
        }
    });
}
