//! The server under test as a child process, killed without warning from time to time.

use std::cell::RefCell;
use std::io;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use super::report::{Tally, add};

/// A server that was started by us; it ends with us.
#[derive(Debug)]
pub(crate) struct Server {
    command: Vec<String>,
    child: RefCell<Child>,
}

impl Server {
    /// Starts it: the first word is the program, the others are its arguments.
    pub fn start(command: Vec<String>) -> io::Result<Rc<Self>> {
        let child = RefCell::new(spawn(&command)?);
        Ok(Rc::new(Self { command, child }))
    }

    /// Kills it with SIGKILL and starts it again, over and over.
    pub async fn kill_every(self: Rc<Self>, every: Duration, tally: Rc<Tally>) -> io::Error {
        loop {
            tokio::time::sleep(every).await;
            let mut child = self.child.borrow_mut();
            let again = child.kill().and_then(|()| child.wait()).and_then(|_| spawn(&self.command));
            match again {
                Ok(spawned) => *child = spawned,
                Err(error) => return error,
            }
            add(&tally.kills, 1);
        }
    }
}

fn spawn(command: &[String]) -> io::Result<Child> {
    let (program, arguments) = command.split_first().ok_or_else(|| io::Error::other("the command is empty"))?;
    Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn()
}

impl Drop for Server {
    fn drop(&mut self) {
        let child = self.child.get_mut();
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }
}
