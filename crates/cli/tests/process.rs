//! Goal: the binary as scripts and service managers meet it: exit codes, one clear line for each
//! thing that is wrong, a stop in order. Method: real processes on free ports; no etcd is needed.
#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at a broken expectation"
)]

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    path::Path,
    process::{Child, ChildStdout, Command, Output, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long a level may take on a loaded machine.
const SOON: Duration = Duration::from_secs(20);

fn meridian() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meridian"));
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("MERIDIAN") {
            command.env_remove(variable);
        }
    }
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[track_caller]
fn check(output: &Output, code: i32, stderr: &[&str]) {
    let shown = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{shown}");
    for wanted in stderr {
        assert!(shown.contains(wanted), "{wanted:?} is not in\n{shown}");
    }
}

/// A configuration whose home does not answer.
fn lonely(dir: &TempDir, etcd: &str, admin: &str) -> std::path::PathBuf {
    let file = dir.path().join("gateway.toml");
    let text = format!(
        "[node]\nname = \"gw\"\nregion = \"eu\"\n[home]\nendpoints = \"http://127.0.0.1:1\"\n\
         [gateway.etcd]\nlisten = \"{etcd}\"\n[admin]\nlisten = \"{admin}\"\n"
    );
    fs::write(&file, text).unwrap();
    file
}

#[test]
fn a_wrong_configuration_is_exit_code_2_with_every_problem() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("gateway.toml");
    fs::write(&file, "[node]\nregion = 5\n[gatway]\n").unwrap();
    let wanted = [
        "node.region: is a number",
        "home: is missing; add [home] with the endpoints",
        "gatway: is not a known key",
    ];
    for words in [vec!["run", "--config"], vec!["config", "check"]] {
        let output = meridian().args(words).arg(&file).output().unwrap();
        check(&output, 2, &wanted);
        assert!(output.stdout.is_empty());
    }
    let output = meridian()
        .args(["run", "--config", "/nowhere.toml"])
        .output()
        .unwrap();
    check(&output, 2, &["/nowhere.toml: cannot be read"]);
}

#[test]
fn certificates_are_looked_into_before_any_port_is_bound() {
    let dir = TempDir::new().unwrap();
    let file = lonely(&dir, "127.0.0.1:0", "127.0.0.1:0");
    let tls = "[gateway.etcd.tls]\ncert = \"gateway.toml\"\nkey = \"gateway.toml\"\n";
    fs::write(&file, fs::read_to_string(&file).unwrap() + tls).unwrap();
    let output = meridian()
        .args(["run", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    check(
        &output,
        2,
        &["gateway.etcd.tls: ", "has no certificate in it"],
    );
}

#[test]
fn config_check_prints_what_is_in_effect() {
    let dir = TempDir::new().unwrap();
    let file = lonely(&dir, "127.0.0.1:0", "127.0.0.1:0");
    let output = meridian()
        .args(["config", "check"])
        .arg(&file)
        .env("MERIDIAN__NODE__REGION", "us")
        .output()
        .unwrap();
    check(&output, 0, &[]);
    let shown = text(&output.stdout);
    assert!(
        shown.contains("region = \"us\"") && shown.contains("history_bytes = "),
        "{shown}"
    );
}

#[test]
fn a_busy_port_is_exit_code_1_and_one_line() {
    let dir = TempDir::new().unwrap();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let line = format!("gateway.etcd.listen: {taken}: address already in use");
    let file = lonely(&dir, &taken, "127.0.0.1:0");
    let output = meridian()
        .args(["run", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    check(&output, 1, &[&line]);

    let output = meridian()
        .args([
            "dev",
            "--us-listen",
            &taken,
            "--eu-listen",
            "127.0.0.1:0",
            "--dir",
        ])
        .arg(dir.path().join("dev"))
        .output()
        .unwrap();
    check(
        &output,
        1,
        &[&format!("--us-listen: {taken}: address already in use")],
    );
    assert_eq!(text(&output.stderr).lines().count(), 1);
}

#[test]
fn an_unwritable_folder_is_exit_code_1_and_one_line() {
    let output = dev(Path::new("/proc/nothing")).output().unwrap();
    check(&output, 1, &["--dir: ", "/proc/nothing"]);
    assert_eq!(
        text(&output.stderr).lines().count(),
        1,
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn status_of_nobody_is_exit_code_1_with_what_to_look_at() {
    let output = meridian()
        .args(["status", "--admin", "http://127.0.0.1:1"])
        .output()
        .unwrap();
    check(
        &output,
        1,
        &["cannot ask http://127.0.0.1:1; is the node running"],
    );
}

#[test]
fn the_pair_of_examples_is_right_after_pki_init() {
    let root = TempDir::new().unwrap();
    let examples = root.path().join("conf/examples");
    fs::create_dir_all(&examples).unwrap();
    let init = || {
        let mut command = meridian();
        command.args(["pki", "init"]).current_dir(root.path());
        command.output().unwrap()
    };
    let output = init();
    check(&output, 0, &[]);
    let page = text(&output.stdout);
    assert!(page.contains("wrote .meridian/pki/ca.crt "), "{page}");
    for file in ["home.toml", "region.toml"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf/examples");
        fs::copy(from.join(file), examples.join(file)).unwrap();
        let output = meridian()
            .args(["config", "check"])
            .arg(examples.join(file))
            .output()
            .unwrap();
        check(&output, 0, &[]);
        let page = text(&output.stdout);
        assert!(page.contains("congestion = \"cubic\""), "{page}");
    }
    check(&init(), 1, &["ca.key", "--force overwrites"]);
    let key = root.path().join(".meridian/pki/us/hub-1.key");
    fs::copy(root.path().join(".meridian/pki/ca.key"), key).unwrap();
    let output = meridian()
        .args(["config", "check"])
        .arg(examples.join("home.toml"))
        .output()
        .unwrap();
    check(&output, 2, &["home.toml: link: ", "hub-1.key"]);
}

fn dev(dir: &Path) -> Command {
    let mut command = meridian();
    let ports = ["--us-listen", "127.0.0.1:0", "--eu-listen", "127.0.0.1:0"];
    command
        .arg("dev")
        .args(ports)
        .args(["--rtt", "10ms", "--dir"])
        .arg(dir);
    command
}

/// Reads lines up to one that begins with `start`.
fn read_until(stdout: &mut BufReader<ChildStdout>, start: &str) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        let read = stdout.read_line(&mut line).unwrap();
        assert!(read > 0, "it ended before {start:?}, after {lines:#?}");
        lines.push(line.trim_end().to_owned());
        if line.starts_with(start) {
            return lines;
        }
    }
}

/// Asks with these arguments until the answer holds all of `wanted`.
fn says(arguments: &[&str], wanted: &[&str]) {
    let deadline = Instant::now() + SOON;
    loop {
        let answer = meridian().args(arguments).output().unwrap();
        let page = text(&answer.stdout);
        if wanted.iter().all(|wanted| page.contains(wanted)) {
            return check(&answer, 0, &[]);
        }
        assert!(Instant::now() < deadline, "{page}{}", text(&answer.stderr));
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

#[test]
fn dev_shows_two_regions_answers_status_and_stops_in_order() {
    let dir = TempDir::new().unwrap();
    let mut child = dev(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let lines = read_until(&mut stdout, "us: revision ");
    let row = lines.iter().find(|line| line.starts_with("  eu ")).unwrap();
    let admin = row.split_whitespace().nth(2).unwrap();
    // The region links to its hub in a moment, and then knows of the home and of everybody.
    says(
        &["status", "--admin", admin],
        &["region       eu", "not replicated"],
    );
    says(
        &["status", "--all", "--admin", admin],
        &["\neu/dev-eu ", "\nus/dev-us "],
    );

    signal(&child, "INT");
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("stopping in order"), "{rest}");
    let mut errors = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut errors)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{errors}");
    assert!(!errors.contains("ERROR"), "{errors}");
}

#[test]
fn a_node_whose_home_is_away_runs_and_stops_on_sigterm() {
    let dir = TempDir::new().unwrap();
    let file = lonely(&dir, "127.0.0.1:0", "127.0.0.1:0");
    let mut child = meridian()
        .args(["run", "--config"])
        .arg(&file)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("node started") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended");
    }
    signal(&child, "TERM");
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{rest}");
    assert!(
        rest.contains("signal=\"SIGTERM\"") && rest.contains("stopped"),
        "{rest}"
    );
}
