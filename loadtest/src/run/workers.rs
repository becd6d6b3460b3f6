//! The generator processes of a run: started, led, and heard.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::Sender;

use super::Stop;
use crate::play::link::{Order, Plan, Report};

/// What the workers say, and which of them.
pub(super) type Heard = (usize, Report);

/// The processes; they end with us.
#[derive(Debug)]
pub(super) struct Workers {
    children: Vec<(Child, Option<ChildStdin>)>,
}

impl Workers {
    /// Starts one process for each plan. What they say goes to `heard`.
    pub fn start(plans: &[Plan], heard: &Sender<Heard>) -> Result<Self, Stop> {
        let mut workers = Self { children: Vec::new() };
        for (number, plan) in plans.iter().enumerate() {
            workers.start_one(number, plan, heard).map_err(|error| Stop::usage(format!("cannot start a worker: {error}")))?;
        }
        Ok(workers)
    }

    fn start_one(&mut self, number: usize, plan: &Plan, heard: &Sender<Heard>) -> std::io::Result<()> {
        let program = super::program()?;
        let mut command = Command::new(program);
        // A group of its own: Ctrl-C is for us, who end it in good order.
        command.arg("worker").process_group(0);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
        let mut input = child.stdin.take();
        let output = child.stdout.take();
        let mut line = plan_line(plan)?;
        line.push('\n');
        if let Some(input) = &mut input {
            input.write_all(line.as_bytes())?;
        }
        self.children.push((child, input));
        let heard = heard.clone();
        std::thread::spawn(move || {
            let lines = output.into_iter().flat_map(|output| BufReader::new(output).lines().map_while(Result::ok));
            for line in lines {
                let report = serde_json::from_str(&line).unwrap_or_else(|error| Report::Failed {
                    unreachable: false,
                    why: format!("a worker said nonsense: {error}"),
                });
                if heard.send((number, report)).is_err() {
                    return;
                }
            }
            // A worker that has said everything is not listened to any more; one that died has said too little.
            let _ = heard.send((number, Report::Failed { unreachable: false, why: "a worker has ended early".to_owned() }));
        });
        Ok(())
    }

    /// Tells all of them.
    pub fn order(&mut self, order: Order) {
        let line = serde_json::to_string(&order).expect("orders are plain") + "\n";
        for (_, input) in &mut self.children {
            if let Some(input) = input {
                // One that is gone is heard of in another way.
                let _ = input.write_all(line.as_bytes());
            }
        }
    }

    /// Their processes.
    pub fn pids(&self) -> Vec<u32> {
        self.children.iter().map(|(child, _)| child.id()).collect()
    }
}

/// Reports never carry tokens, but workers need those of their agents: they travel in the place, which only plans hold.
fn plan_line(plan: &Plan) -> std::io::Result<String> {
    serde_json::to_string(plan).map_err(std::io::Error::other)
}

impl Drop for Workers {
    fn drop(&mut self) {
        for (child, input) in &mut self.children {
            drop(input.take());
            // Those that have said everything have ended or are about to.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
