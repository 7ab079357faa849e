//! One Apache Cassandra node: its jars, its configuration, its command line, and when it is ready.
//!
//! The server comes from Maven Central (`cassandra-all` and what it depends on) and runs on a
//! JDK 17. The settings that are worth a factor of two for this product (off-heap memtables, trie
//! index files, the parallel collector) are on, as the documentation recommends them.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::certificates::Certificates;
use super::cql::{self, Consistency, Credentials};
use super::process::Process;
use super::state;
use crate::tools::{self, Tool};

/// The release that is downloaded and tested with.
pub const VERSION: &str = "5.0.4";
/// The role that a node with authentication starts with.
pub const SUPERUSER: Credentials<'static> = Credentials {
    user: "cassandra",
    password: "cassandra",
};

const CLUSTER: &str = "atalaya";
const MAVEN: Tool = Tool {
    program: "mvn",
    package: "maven",
    used_for: "fetches the jars of Apache Cassandra",
};
const JDK: &str = "openjdk-17-jre-headless";
/// Where Debian and others keep their Java versions, when the one on the path is another.
const JAVA_FOLDERS: &str = "/usr/lib/jvm";

const EXPORTS: [&str; 8] = [
    "java.base/jdk.internal.misc",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "java.base/java.lang.ref",
    "java.base/java.lang.reflect",
    "jdk.unsupported/sun.misc",
];
const OPENS: [&str; 16] = [
    "java.base/java.lang.module",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.nio.ch",
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.reflect",
    "java.base/java.util",
    "java.base/java.nio",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "jdk.management/com.sun.management.internal",
];

/// A Java 17 and the jars: what every node of this machine shares.
#[derive(Clone, Debug)]
pub struct Installation {
    pub java: PathBuf,
    pub jars: PathBuf,
}

impl Installation {
    /// Finds Java 17 and fetches the jars when they are not there yet (10 s, once).
    pub fn prepare() -> anyhow::Result<Self> {
        let java = java_17()?;
        let jars = state::folder().join(format!("cassandra-{VERSION}"));
        if !jars.is_dir() {
            fetch(&jars)?;
        }
        Ok(Self { java, jars })
    }

    /// The start of every command line: what both the server and its tools need.
    fn java(&self) -> Command {
        let mut command = Command::new(&self.java);
        for name in EXPORTS {
            command
                .arg("--add-exports")
                .arg(format!("{name}=ALL-UNNAMED"));
        }
        for name in OPENS {
            command
                .arg("--add-opens")
                .arg(format!("{name}=ALL-UNNAMED"));
        }
        command.arg("-Djdk.attach.allowAttachSelf=true");
        command
    }

    /// `nodetool` of the same release, for a node with this JMX port.
    pub fn nodetool(&self, jmx_port: u16) -> Command {
        let mut command = self.java();
        command
            .arg("-Xmx128m")
            .arg("-cp")
            .arg(self.jars.join("*"))
            .arg("org.apache.cassandra.tools.NodeTool")
            .args(["-p", &jmx_port.to_string()]);
        command
    }
}

fn java_17() -> anyhow::Result<PathBuf> {
    let home = std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
    let mut candidates: Vec<PathBuf> = home.into_iter().chain([PathBuf::from("java")]).collect();
    if let Ok(folder) = fs::read_dir(JAVA_FOLDERS) {
        candidates.extend(folder.flatten().map(|entry| entry.path().join("bin/java")));
    }
    candidates
        .into_iter()
        .find(|java| is_java_17(java))
        .with_context(|| {
            format!("Apache Cassandra needs Java 17: apt-get update && apt-get install -y {JDK}")
        })
}

fn is_java_17(java: &Path) -> bool {
    // `-version` writes to the error stream: openjdk version "17.0.15" …
    Command::new(java)
        .arg("-version")
        .output()
        .is_ok_and(|output| String::from_utf8_lossy(&output.stderr).contains("version \"17."))
}

fn fetch(jars: &Path) -> anyhow::Result<()> {
    tools::require(&[MAVEN])?;
    let folder = state::folder();
    fs::create_dir_all(&folder)?;
    let lock = File::create(folder.join("fetch.lock"))?;
    lock.lock()?;
    if jars.is_dir() {
        return Ok(()); // another process has fetched them meanwhile
    }
    let work = folder.join("maven");
    fs::create_dir_all(&work)?;
    let pom = work.join("pom.xml");
    fs::write(
        &pom,
        format!(
            "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\n\
             <groupId>atalaya</groupId><artifactId>services</artifactId><version>1</version>\n\
             <dependencies><dependency><groupId>org.apache.cassandra</groupId>\
             <artifactId>cassandra-all</artifactId><version>{VERSION}</version></dependency></dependencies>\n\
             </project>\n"
        ),
    )?;
    let part = work.join("jars");
    tools::step(
        &format!("fetch Apache Cassandra {VERSION} from Maven Central"),
        Command::new("mvn")
            .args(["-q", "-B", "-Dstyle.color=never", "-f"])
            .arg(&pom)
            .arg("dependency:copy-dependencies")
            .arg(format!("-DoutputDirectory={}", part.display())),
    )?;
    fs::rename(&part, jars).with_context(|| format!("{}", jars.display()))
}

/// How much a node may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// For measuring and for developers: 2 GiB heap, 1 GiB of memtables beside it.
    Full,
    /// For rings on one machine and for fault tests: 512 MiB heap, quick to start.
    Small,
}

/// Whether clients must use TLS.
#[derive(Clone, Debug, Default)]
pub enum Tls {
    #[default]
    Off,
    /// Clients must encrypt; with `Mutual` they must also show a certificate.
    Required(Certificates),
    Mutual(Certificates),
}

/// Everything that makes one node; written to its folder at each start.
#[derive(Clone, Debug)]
pub struct Node {
    /// Data, logs and configuration of this node alone.
    pub folder: PathBuf,
    pub address: SocketAddr,
    pub storage_port: u16,
    /// Every node of a ring names the same seed.
    pub seed: IpAddr,
    pub jmx_port: Option<u16>,
    pub size: Size,
    /// Users with passwords, and permissions. The first role is [`SUPERUSER`].
    pub authentication: bool,
    pub tls: Tls,
    /// More lines of `cassandra.yaml`: `("write_request_timeout", "500ms")`.
    pub settings: Vec<(String, String)>,
}

impl Node {
    pub fn log(&self) -> PathBuf {
        self.folder.join("logs/system.log")
    }

    /// What the process itself writes: failures before its own log is open.
    pub fn output(&self) -> PathBuf {
        self.folder.join("logs/output.log")
    }

    /// Writes the configuration and gives the command that starts the node.
    pub fn prepare(&self, installation: &Installation) -> anyhow::Result<Command> {
        self.check_ports()?;
        let conf = self.folder.join("conf");
        for name in ["conf", "data", "logs", "tmp"] {
            fs::create_dir_all(self.folder.join(name))?;
        }
        fs::write(conf.join("cassandra.yaml"), self.yaml()?)?;
        fs::write(conf.join("logback.xml"), self.logback())?;

        let mut command = installation.java();
        command.current_dir(&self.folder);
        match self.size {
            Size::Full => command.args(["-Xms2g", "-Xmx2g"]),
            // The second compiler costs more processor time than a test's ring lives to save.
            Size::Small => command.args(["-Xms512m", "-Xmx512m", "-XX:TieredStopAtLevel=1"]),
        };
        command.args([
            "-XX:+UseParallelGC",
            "-XX:+ExitOnOutOfMemoryError",
            "-Xss512k",
            "-Djava.net.preferIPv4Stack=true",
            "-Dcassandra-foreground=yes",
            "-Dcassandra.ring_delay_ms=2000",
            "-Dcassandra.skip_wait_for_gossip_to_settle=0",
            "-Dcassandra.superuser_setup_delay_ms=0",
            "-Dcassandra.consistent.rangemovement=false",
        ]);
        for (name, path) in [
            ("java.io.tmpdir", "tmp"),
            ("cassandra.storagedir", "data"),
            ("cassandra.logdir", "logs"),
            ("logback.configurationFile", "conf/logback.xml"),
        ] {
            command.arg(format!("-D{name}={}", self.folder.join(path).display()));
        }
        command.arg(format!(
            "-Dcassandra.config=file://{}",
            conf.join("cassandra.yaml").display()
        ));
        if let Some(port) = self.jmx_port {
            command.arg(format!("-Dcassandra.jmx.local.port={port}"));
        }
        command
            .arg("-cp")
            .arg(format!(
                "{}:{}",
                conf.display(),
                installation.jars.join("*").display()
            ))
            .arg("org.apache.cassandra.service.CassandraDaemon");
        Ok(command)
    }

    /// A port that another process holds would otherwise show only in the node's log.
    fn check_ports(&self) -> anyhow::Result<()> {
        let jmx = self
            .jmx_port
            .map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let storage = SocketAddr::new(self.address.ip(), self.storage_port);
        for address in [Some(self.address), Some(storage), jmx]
            .into_iter()
            .flatten()
        {
            TcpListener::bind(address).with_context(|| {
                format!("{address} is in use by a process that was not started here; stop that one first")
            })?;
        }
        Ok(())
    }

    fn yaml(&self) -> anyhow::Result<String> {
        let data = self.folder.join("data");
        let (heap, offheap, segment) = match self.size {
            Size::Full => (512, 1024, 32),
            Size::Small => (96, 192, 16),
        };
        let mut yaml = String::new();
        let mut line = |name: &str, value: &str| writeln!(yaml, "{name}: {value}");
        line("cluster_name", CLUSTER)?;
        line("num_tokens", "16")?;
        // A new ring has nothing to stream to its next node.
        line("auto_bootstrap", "false")?;
        line("partitioner", "org.apache.cassandra.dht.Murmur3Partitioner")?;
        line("endpoint_snitch", "SimpleSnitch")?;
        line("listen_address", &self.address.ip().to_string())?;
        line("rpc_address", &self.address.ip().to_string())?;
        line("native_transport_port", &self.address.port().to_string())?;
        line("storage_port", &self.storage_port.to_string())?;
        line("commitlog_sync", "periodic")?;
        line("commitlog_sync_period", "10000ms")?;
        line("commitlog_segment_size", &format!("{segment}MiB"))?;
        line("memtable_allocation_type", "offheap_objects")?;
        line("memtable_heap_space", &format!("{heap}MiB"))?;
        line("memtable_offheap_space", &format!("{offheap}MiB"))?;
        line("storage_compatibility_mode", "NONE")?;
        line("sstable", "{ selected_format: bti }")?;
        // Dropping a test's keyspace must not keep a copy of it.
        line("auto_snapshot", "false")?;
        line(
            "data_file_directories",
            &format!("[ '{}' ]", data.join("data").display()),
        )?;
        for name in ["commitlog", "saved_caches", "hints", "cdc_raw"] {
            line(
                &format!("{name}_directory"),
                &format!("'{}'", data.join(name).display()),
            )?;
        }
        line(
            "seed_provider",
            &format!(
                "[ {{ class_name: org.apache.cassandra.locator.SimpleSeedProvider, \
                 parameters: [ {{ seeds: '{}:{}' }} ] }} ]",
                self.seed, self.storage_port
            ),
        )?;
        if self.authentication {
            line("authenticator", "PasswordAuthenticator")?;
            line("authorizer", "CassandraAuthorizer")?;
            // A right that was just given or taken counts at once in a test.
            for cache in [
                "roles_validity",
                "permissions_validity",
                "credentials_validity",
            ] {
                line(cache, "0ms")?;
            }
        }
        match &self.tls {
            Tls::Off => {}
            Tls::Required(certificates) => {
                line(
                    "client_encryption_options",
                    &encryption(certificates, false)?,
                )?;
            }
            Tls::Mutual(certificates) => line(
                "client_encryption_options",
                &encryption(certificates, true)?,
            )?,
        }
        for (name, value) in &self.settings {
            line(name, value)?;
        }
        Ok(yaml)
    }

    fn logback(&self) -> String {
        format!(
            r#"<configuration>
  <appender name="FILE" class="ch.qos.logback.core.rolling.RollingFileAppender">
    <file>{log}</file>
    <rollingPolicy class="ch.qos.logback.core.rolling.FixedWindowRollingPolicy">
      <fileNamePattern>{log}.%i</fileNamePattern><minIndex>1</minIndex><maxIndex>3</maxIndex>
    </rollingPolicy>
    <triggeringPolicy class="ch.qos.logback.core.rolling.SizeBasedTriggeringPolicy"><maxFileSize>20MB</maxFileSize></triggeringPolicy>
    <encoder><pattern>%-5level [%thread] %date{{ISO8601}} %F:%L - %msg%n</pattern></encoder>
  </appender>
  <appender name="CQLLOG" class="org.apache.cassandra.utils.logging.VirtualTableAppender">
    <filter class="ch.qos.logback.classic.filter.ThresholdFilter"><level>WARN</level></filter>
  </appender>
  <root level="INFO"><appender-ref ref="FILE"/><appender-ref ref="CQLLOG"/></root>
</configuration>
"#,
            log = self.log().display()
        )
    }

    /// Waits until the node answers a query, and with a ring until it sees all nodes of it.
    pub fn wait_ready(
        &self,
        process: Process,
        whole_ring: bool,
        limit: Duration,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            let answer = self.answers(whole_ring);
            let Err(reason) = answer else {
                return Ok(());
            };
            if !process.is_running() {
                bail!(
                    "Cassandra at {} ended while it started:\n{}",
                    self.address,
                    self.last_words()
                );
            }
            if Instant::now() > deadline {
                bail!(
                    "Cassandra at {} is not ready after {limit:?} ({reason:#}); its log: {}",
                    self.address,
                    self.log().display()
                );
            }
            sleep(Duration::from_millis(100));
        }
    }

    fn answers(&self, whole_ring: bool) -> anyhow::Result<()> {
        if !matches!(self.tls, Tls::Off) {
            // A node opens its CQL port last. The handshake is left to the client under test.
            TcpStream::connect_timeout(&self.address, Duration::from_secs(1))?;
            return Ok(());
        }
        let credentials = self.authentication.then_some(SUPERUSER);
        // Every node holds a copy of this table, so that reading it at ALL needs every node.
        let (statement, consistency) = if whole_ring {
            (
                "SELECT keyspace_name FROM system_distributed.view_build_status LIMIT 1",
                Consistency::All,
            )
        } else {
            ("SELECT cluster_name FROM system.local", Consistency::One)
        };
        cql::execute(self.address, credentials, statement, consistency).map(|_| ())
    }

    /// The end of what the node wrote, for an error message.
    fn last_words(&self) -> String {
        let (output, log) = (tail(&self.output()), tail(&self.log()));
        format!("{output}{log}(whole log: {})", self.log().display())
    }
}

fn encryption(certificates: &Certificates, client_must_show_one: bool) -> anyhow::Result<String> {
    // PEM straight into the configuration: key and chain as one value, no keystore files.
    let read =
        |path: &Path| fs::read_to_string(path).with_context(|| format!("{}", path.display()));
    let quoted = |pem: String| pem.trim().replace('\n', "\\n");
    let key = quoted(read(&certificates.server_key)? + &read(&certificates.server)?);
    let trusted = quoted(read(&certificates.authority)?);
    Ok(format!(
        "{{ enabled: true, optional: false, require_client_auth: {client_must_show_one}, \
         ssl_context_factory: {{ class_name: org.apache.cassandra.security.PEMBasedSslContextFactory, \
         parameters: {{ private_key: \"{key}\", trusted_certificates: \"{trusted}\" }} }} }}"
    ))
}

fn tail(path: &Path) -> String {
    const LINES: usize = 15;
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(16_384)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines
        .iter()
        .skip(lines.len().saturating_sub(LINES))
        .map(|line| format!("{line}\n"))
        .collect()
}
