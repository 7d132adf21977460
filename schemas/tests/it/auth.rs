//! The worked examples of signed requests.

use std::{
    io::{ErrorKind, Write},
    process::{Command, Stdio},
};

use jixinda_schemas::auth::{Authorization, Signable};
use serde::Deserialize;

use crate::{home, list, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    method: String,
    path: String,
    query: String,
    body: String,
    key: String,
    ts: i64,
    nonce: String,
    secret: String,
    string_to_sign: String,
    authorization: String,
}

impl Example {
    fn signable(&self) -> Signable<'_> {
        Signable {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            body: self.body.as_bytes(),
            key: &self.key,
            ts: self.ts,
            nonce: &self.nonce,
        }
    }
}

fn examples() -> Vec<Example> {
    let paths = list(&home().join("json/auth"));
    assert!(paths.len() >= 3);
    paths
        .iter()
        .map(|path| serde_json::from_str(&read(path)).unwrap())
        .collect()
}

#[test]
fn every_example_is_what_the_code_signs() {
    for example in examples() {
        let signable = example.signable();
        assert_eq!(signable.string_to_sign(), example.string_to_sign);
        assert_eq!(
            signable.authorization(&example.secret),
            example.authorization
        );
        let parsed = Authorization::parse(&example.authorization).unwrap();
        assert_eq!((&parsed.key, parsed.ts), (&example.key, example.ts));
        assert_eq!(parsed.nonce, example.nonce);
        assert!(signable.verify(&example.secret, &parsed.signature));
    }
}

/// Skipped where the command is not installed.
#[test]
fn openssl_makes_the_same_signature() {
    let example = &examples()[0];
    let child = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", &example.secret, "-r"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match child {
        Err(e) if e.kind() == ErrorKind::NotFound => return,
        child => child.unwrap(),
    };
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(example.string_to_sign.as_bytes()).unwrap();
    drop(stdin);
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let signature = output.split_whitespace().next().unwrap();
    assert_eq!(
        Authorization::parse(&example.authorization)
            .unwrap()
            .signature,
        signature
    );
}
