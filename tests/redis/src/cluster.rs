//! A Redis Cluster of several servers, and what can happen to it.

use std::process::Command;

use crate::raw::Reply;
use crate::server::RedisServer;
use crate::wait_until;

/// How long a node may be silent before the others take it for dead.
const NODE_TIMEOUT_MS: &str = "1500";

/// A running cluster. Nodes keep their numbers whatever their role: at first the masters come first.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    replicas_each: usize,
}

impl RedisCluster {
    /// Starts that many masters with that many replicas each, all with these lines of configuration, and waits until
    /// every node says that the cluster is in order.
    ///
    /// # Panics
    /// When the cluster does not come up.
    #[must_use]
    pub fn start(masters: usize, replicas_each: usize, config: &[&str]) -> Self {
        let mut lines = config.to_vec();
        let timeout = format!("cluster-node-timeout {NODE_TIMEOUT_MS}");
        lines.extend(["cluster-enabled yes", "cluster-config-file nodes.conf", "repl-diskless-sync-delay 0", &timeout]);
        let mut nodes: Vec<RedisServer> = (0..masters * (1 + replicas_each)).map(|_| RedisServer::prepare(&lines)).collect();
        nodes.iter_mut().for_each(RedisServer::spawn);
        nodes.iter_mut().for_each(RedisServer::wait_until_up);
        let addresses = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port()));
        let mut create = vec!["create".to_owned()];
        create.extend(addresses);
        create.extend(["--cluster-replicas".to_owned(), replicas_each.to_string()]);
        cluster_command(&create);
        let cluster = Self { nodes, replicas_each };
        cluster.wait_until_ok();
        cluster
    }

    /// Where its nodes listen.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(RedisServer::url).collect()
    }

    /// A node by its number.
    #[must_use]
    pub fn node(&self, number: usize) -> &RedisServer {
        &self.nodes[number]
    }

    /// A node by its number, to be killed and started.
    pub fn node_mut(&mut self, number: usize) -> &mut RedisServer {
        &mut self.nodes[number]
    }

    /// All nodes.
    #[must_use]
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The numbers of the nodes that are running and masters at present.
    #[must_use]
    pub fn masters(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|number| self.role(*number).as_deref() == Some("master")).collect()
    }

    /// The number of the master that has the slot of this key.
    ///
    /// # Panics
    /// When nobody says so.
    #[must_use]
    pub fn master_of(&self, key: &str) -> usize {
        let first = self.masters()[0];
        let slot = self.nodes[first].command(&["CLUSTER", "KEYSLOT", key]).number();
        let ranges = self.nodes[first].run("CLUSTER SLOTS").list();
        let port = ranges.into_iter().find_map(|range| {
            let range = range.list();
            let (from, to) = (range[0].clone().number(), range[1].clone().number());
            (from..=to).contains(&slot).then(|| range[2].clone().list()[1].clone().number())
        });
        let port = port.expect("every slot has a master");
        self.nodes.iter().position(|node| i64::from(node.port()) == port).expect("a node of ours")
    }

    /// Kills a master and waits until one of its replicas is a master in its place, whose number is returned.
    ///
    /// # Panics
    /// When the node is no master, or has no replica.
    pub fn kill_master(&mut self, number: usize) -> usize {
        let heirs = self.replicas_of(number);
        self.nodes[number].kill9();
        self.wait_for_heir(&heirs)
    }

    /// Lets a replica of this master take over, as for maintenance: nothing is lost. The new master's number.
    ///
    /// # Panics
    /// When the node is no master, or has no replica.
    pub fn failover(&mut self, number: usize) -> usize {
        let heirs = self.replicas_of(number);
        self.nodes[heirs[0]].run("CLUSTER FAILOVER");
        self.wait_for_heir(&heirs)
    }

    /// Moves that many slots from one master to another, with their keys.
    ///
    /// # Panics
    /// When that fails.
    pub fn move_slots(&self, from: usize, to: usize, count: usize) {
        let [source, target] = [from, to].map(|number| self.nodes[number].run("CLUSTER MYID").text());
        let count = count.to_string();
        let entry = format!("127.0.0.1:{}", self.nodes[to].port());
        let words = ["reshard", &entry, "--cluster-from", &source, "--cluster-to", &target, "--cluster-slots", &count];
        cluster_command(&words.map(str::to_owned));
    }

    /// Starts one more node without slots and makes it a member; its number.
    ///
    /// # Panics
    /// When that fails.
    pub fn add_node(&mut self, config: &[&str]) -> usize {
        let mut lines = config.to_vec();
        let timeout = format!("cluster-node-timeout {NODE_TIMEOUT_MS}");
        lines.extend(["cluster-enabled yes", "cluster-config-file nodes.conf", &timeout]);
        let node = RedisServer::start(&lines);
        let [new, known] = [&node, &self.nodes[self.masters()[0]]].map(|node| format!("127.0.0.1:{}", node.port()));
        cluster_command(&["add-node".to_owned(), new, known]);
        self.nodes.push(node);
        self.wait_until_ok();
        self.nodes.len() - 1
    }

    /// Waits until every running node says that the cluster is in order, and every replica follows its master.
    ///
    /// # Panics
    /// When that takes a minute.
    pub fn wait_until_ok(&self) {
        wait_until("the cluster is in order", || {
            let running: Vec<usize> = (0..self.nodes.len()).filter(|number| self.role(*number).is_some()).collect();
            running.iter().all(|number| self.is_ok(*number, running.len()))
        });
    }

    fn is_ok(&self, number: usize, running: usize) -> bool {
        let node = &self.nodes[number];
        let known = node.run("CLUSTER NODES").text();
        let reached = known.lines().filter(|line| line.contains(" connected") && !line.contains("fail")).count();
        let state = node.run("CLUSTER INFO").text();
        let is_synced = node.info("role") == "master" || node.info("master_link_status") == "up";
        state.contains("cluster_state:ok") && reached >= running && is_synced
    }

    /// Waits until every master has as many replicas as at the start, and they follow it.
    ///
    /// # Panics
    /// When that takes a minute.
    pub fn wait_for_replicas(&self) {
        wait_until("every master has its replicas", || {
            // Only what the master calls online can confirm anything.
            let online = |number: usize| self.nodes[number].run("INFO replication").text().matches("state=online").count();
            self.masters().into_iter().all(|number| online(number) == self.replicas_each)
        });
        self.wait_until_ok();
    }

    fn role(&self, number: usize) -> Option<String> {
        let mut connection = crate::RawConnection::open(self.nodes[number].port()).ok()?;
        match connection.try_command(&["ROLE"]) {
            Ok(Reply::List(role)) => role.into_iter().next().map(Reply::text),
            Ok(_) | Err(_) => None,
        }
    }

    fn replicas_of(&self, number: usize) -> Vec<usize> {
        let port = self.nodes[number].port().to_string();
        let is_heir =
            |heir: &usize| self.role(*heir).as_deref() == Some("slave") && self.nodes[*heir].info("master_port") == port;
        let heirs: Vec<usize> = (0..self.nodes.len()).filter(is_heir).collect();
        assert!(!heirs.is_empty(), "node {number} has no replica");
        heirs
    }

    fn wait_for_heir(&self, heirs: &[usize]) -> usize {
        let mut found = None;
        wait_until("a replica is promoted", || {
            found = heirs.iter().copied().find(|heir| self.role(*heir).as_deref() == Some("master"));
            found.is_some()
        });
        self.wait_until_ok();
        found.expect("one was found")
    }
}

/// Runs `redis-cli --cluster ...`, which sometimes finds nodes that have not heard of each other's changes yet.
fn cluster_command(words: &[String]) {
    let mut output = None;
    for _ in 0..5 {
        let run = Command::new("redis-cli").arg("--cluster").args(words).arg("--cluster-yes").output();
        let run = run.expect("these tests need redis-cli: apt-get install redis-server");
        if run.status.success() {
            return;
        }
        output = Some(String::from_utf8_lossy(&run.stdout).into_owned());
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    panic!("redis-cli --cluster {words:?} fails: {}", output.unwrap_or_default());
}
