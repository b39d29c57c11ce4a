//! Whose AWS account is read: the profile's that was named, and what the usual places
//! offer where nothing was.

#![cfg(all(feature = "aws", feature = "kubernetes"))]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do, and the lint's exception for tests does not see them"
)]

#[path = "support/ecs.rs"]
mod ecs;

use std::process::Output;

use quarterdeck::sim::server::SimServer;

/// Two accounts, a cluster each.
const FLEET: &str = "[[ecs]]\nname = 'mine'\naccount = '123456789012'\nregion = 'eu-west-1'\n\
     [[ecs.services]]\nname = 'web'\ndesired = 1\nimage = 'r/web:1'\n\
     [[ecs]]\nname = 'theirs'\naccount = '210987654321'\nregion = 'eu-west-1'\n\
     [[ecs.services]]\nname = 'web'\ndesired = 1\nimage = 'r/web:1'\n";

/// A home with shared AWS files, and the fleet they lead to.
struct Home {
    dir: tempfile::TempDir,
    sim: SimServer,
}

impl Home {
    async fn new(profiles: &[(&str, &str)], config: &str) -> Self {
        let sim = ecs::serve(FLEET).await;
        let dir = tempfile::tempdir().expect("a directory");
        let access = sim.aws();
        let section = |(name, account): &(&str, &str)| {
            let (id, secret) = (access.key_for(account), &access.secret);
            format!("[{name}]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n")
        };
        std::fs::create_dir(dir.path().join(".aws")).expect("a directory");
        let keys: String = profiles.iter().map(section).collect();
        std::fs::write(dir.path().join(".aws/credentials"), keys).expect("a file");
        std::fs::write(dir.path().join(".aws/config"), config).expect("a file");
        Self { dir, sim }
    }

    /// Writes the settings file.
    fn settings(&self, text: &str) {
        let dir = self.dir.path().join(".config/quarterdeck");
        std::fs::create_dir_all(&dir).expect("a directory");
        std::fs::write(dir.join("config.toml"), text).expect("a file");
    }

    /// Runs the program with nothing but these variables.
    async fn run(&self, arguments: &[&str], variables: &[(&str, String)]) -> Output {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_quarterdeck"))
            .args(arguments)
            .env_clear()
            .env("HOME", self.dir.path())
            .env("PATH", "/usr/bin:/bin")
            .env("AWS_ENDPOINT_URL", self.sim.aws().endpoint)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")
            .envs(variables.iter().map(|(k, v)| (k, v)))
            .output()
            .await
            .expect("it runs")
    }

    /// The keys of an account, as a shell exports them.
    fn keys(&self, account: &str) -> Vec<(&'static str, String)> {
        let access = self.sim.aws();
        vec![("AWS_ACCESS_KEY_ID", access.key_for(account)), ("AWS_SECRET_ACCESS_KEY", access.secret)]
    }
}

/// What a machine with a role answers, one request to a connection.
#[expect(clippy::disallowed_methods, reason = "it ends with the test")]
async fn machine(id: String, secret: String) -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let n = stream.read(&mut request).await.unwrap_or(0);
            let head = String::from_utf8_lossy(&request[..n]).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default();
            let keys = format!(
                "{{\"Code\":\"Success\",\"Type\":\"AWS-HMAC\",\"AccessKeyId\":\"{id}\",\"SecretAccessKey\":\"{secret}\",\
                 \"Token\":\"t\",\"LastUpdated\":\"2020-01-01T00:00:00Z\",\"Expiration\":\"2099-01-01T00:00:00Z\"}}"
            );
            let (code, body) = match path {
                "/latest/api/token" => (200, "token"),
                "/latest/meta-data/placement/region" => (200, "eu-west-1"),
                "/latest/meta-data/iam/security-credentials/" => (200, "role"),
                "/latest/meta-data/iam/security-credentials/role" => (200, keys.as_str()),
                _ => (404, ""),
            };
            let answer = format!(
                "HTTP/1.1 {code} X\r\nx-aws-ec2-metadata-token-ttl-seconds: 600\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _sent = stream.write_all(answer.as_bytes()).await;
        }
    });
    addr
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_with_a_role_is_asked_where_nothing_else_is_set_up() {
    let home = Home::new(&[], "").await;
    let access = home.sim.aws();
    let addr = machine(access.key_for("123456789012"), access.secret).await;
    let at = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("http://{addr}"));
    let allowed = [at.clone(), ("AWS_EC2_METADATA_DISABLED", "false".to_owned())];
    let out = home.run(&["status"], &allowed).await;
    assert!(out.status.success() && all(&out).contains("mine"), "{}", all(&out));
    // Forbidden, it is not.
    let said = all(&home.run(&["status"], &[at]).await);
    assert!(said.contains("no cluster was found") && !said.contains("mine"), "{said}");
}

fn all(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_profile_is_used_whatever_the_environment_holds() {
    let home = Home::new(&[("other", "210987654321")], "[profile other]\nregion = eu-west-1\n").await;
    let mut variables = home.keys("123456789012");
    variables.push(("AWS_REGION", "us-east-1".to_owned()));

    // Its account and its region: in the environment's there is no such cluster.
    let out = home.run(&["status", "--ecs-cluster", "other@theirs"], &variables).await;
    assert!(out.status.success() && all(&out).contains("theirs"), "{}", all(&out));
    let out = home.run(&["status", "--ecs-cluster", "other@eu-west-1/theirs"], &variables).await;
    assert!(out.status.success() && all(&out).contains("theirs"), "{}", all(&out));

    // The environment's own cluster is not shown under another profile's name.
    for (profile, says) in [("other", "no such ECS cluster"), ("noprof", "no such AWS profile `noprof` in ")] {
        let cluster = format!("{profile}@eu-west-1/mine");
        let out = home.run(&["status", "--ecs-cluster", &cluster], &variables).await;
        let said = all(&out);
        assert!(!out.status.success() && said.contains(says), "{said}");
    }

    // Without a profile's name the environment's keys are meant, but a name must be one.
    let plain = ["status", "--ecs-cluster", "eu-west-1/mine"];
    assert!(home.run(&plain, &variables).await.status.success());
    variables.push(("AWS_PROFILE", "noprof".to_owned()));
    let out = home.run(&plain, &variables).await;
    assert!(!out.status.success() && all(&out).contains("no such AWS profile `noprof` in "), "{}", all(&out));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_profile_is_enough_to_start_with() {
    let home = Home::new(&[("default", "123456789012")], "[default]\nregion = eu-west-1\n").await;
    let out = home.run(&["status"], &[]).await;
    assert!(out.status.success() && all(&out).contains("mine"), "{}", all(&out));

    // What AWS says is said, after what was looked for first.
    let out = home.run(&["status"], &[("AWS_REGION", "us-east-1".to_owned())]).await;
    let said = all(&out);
    assert!(said.contains("no cluster was found") && said.contains("it lists no ECS cluster"), "{said}");
    assert_eq!(out.status.code(), Some(2), "{said}");

    // Keys that AWS does not know.
    let wrong = [("AWS_ACCESS_KEY_ID", "AKIAWRONG".to_owned()), ("AWS_SECRET_ACCESS_KEY", "s".to_owned())];
    let said = all(&home.run(&["status"], &wrong).await);
    assert!(said.contains("AWS was asked, too: no credentials: AWS does not know those of"), "{said}");
    assert!(!said.contains("run the command by hand"), "{said}");

    let empty = Home::new(&[], "[default]\nregion = eu-west-1\n").await;
    let said = all(&empty.run(&["status"], &[]).await);
    assert!(said.contains("--ecs-cluster") && said.contains("[default] in ~/.aws"), "{said}");
    assert!(!said.contains("AWS was asked"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_protects_a_cluster_holds_however_it_is_spelled() {
    let profiles = [("default", "123456789012"), ("prod", "123456789012")];
    let home = Home::new(&profiles, "[default]\nregion = eu-west-1\n[profile prod]\nregion = eu-west-1\n").await;
    let entry = "[[cluster]]\necs = 'prod@eu-west-1/mine'\nname = 'shop'\nproduction = true\n";
    home.settings(&format!("{entry}read_only = true\n"));
    // How it is spelled, and what it is called then: under another profile it may be another one.
    for (spelled, shown) in [
        ("prod@eu-west-1/mine", "shop"),
        ("mine", "shop"),
        ("eu-west-1/mine", "shop"),
        ("prod@mine", "shop"),
        ("arn:aws:ecs:eu-west-1:123456789012:cluster/mine", "shop"),
        ("default@eu-west-1/mine", "mine"),
        ("default@mine", "mine"),
    ] {
        let out = home.run(&["status", "--format", "json", "--ecs-cluster", spelled], &[]).await;
        let (json, error) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!((&json["clusters"][0]["name"], &json["clusters"][0]["production"]), (&shown.into(), &true.into()));
        let says = format!("{shown} is production and read-only, as the settings say of `prod@eu-west-1/mine`");
        assert_eq!(error.contains(&says), spelled != "prod@eu-west-1/mine", "{spelled}: {error}");
        let scale = ["scale", "web", "--replicas", "2", "--yes", "--ecs-cluster", spelled];
        let out = home.run(&scale, &[]).await;
        assert!(out.status.code() == Some(1) && all(&out).contains("marked read_only"), "{spelled}: {}", all(&out));
        let out = home.run(&["exec", "web/x", "--ecs-cluster", spelled, "--", "true"], &[]).await;
        assert!(!out.status.success() && all(&out).contains("production"), "{spelled}: {}", all(&out));
    }
    // Its own entry says what it is, and so does another region.
    home.settings(&format!("{entry}[[cluster]]\necs = 'default@eu-west-1/mine'\n"));
    let out = home.run(&["status", "--format", "json", "--ecs-cluster", "default@eu-west-1/mine"], &[]).await;
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!(json["clusters"][0]["production"], false, "{json:#}");
    assert!(out.stderr.is_empty(), "{}", all(&out));
}
