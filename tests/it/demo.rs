//! The demo's files fit together: directory, lab and secrets.

use std::collections::BTreeMap;

use jixinda::directory_file;
use jixinda_schemas::{
    directory::{
        Snapshot,
        wanted::{Allowed, Clear, FileSecret, check},
    },
    template::{self, Form},
};

use crate::root;

/// Name → value of each variable that the demo makes, by the script that makes them.
fn secrets() -> BTreeMap<String, String> {
    let dir = tempfile::tempdir().unwrap();
    let made = |_: u8| {
        let done = std::process::Command::new(root().join("deploy/demo/secrets.sh"))
            .env("JIXINDA_DATA", dir.path())
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        std::fs::read_to_string(String::from_utf8(done.stdout).unwrap().trim()).unwrap()
    };
    let text = made(1);
    assert_eq!(text, made(2), "the secrets are made once for each clone");
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect()
}

#[test]
fn the_demo_directory_is_good_and_the_lab_knows_its_accounts_signatures_and_templates() {
    let secrets = secrets();
    let secret = |name: &str| {
        secrets
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not made"))
            .clone()
    };
    let (wanted, problems) =
        directory_file::read(&root().join("deploy/demo/directory.toml")).unwrap();
    assert_eq!(problems, []);
    let wanted = wanted.map_secrets(|path, given| match given {
        FileSecret::Env { env } => Clear::new(secret(&env)),
        FileSecret::Text(text) if path.ends_with("access_key_id") => Clear::new(text),
        other => panic!("{path} is committed: {other:?}"),
    });
    let (current, pools) = (Snapshot::default(), ["default".to_owned()]);
    let allowed = Allowed {
        current: &current,
        prune: true,
        vendors: &["aliyun"],
        pools: &pools,
    };
    assert_eq!(check(&wanted, &allowed), []);

    let mut lab = std::fs::read_to_string(root().join("deploy/demo/lab.toml")).unwrap();
    for (name, value) in &secrets {
        lab = lab.replace(&format!("${{{name}}}"), value);
    }
    let lab = jixinda_lab::Config::parse(&lab).unwrap();
    assert_eq!(wanted.channels.len(), lab.accounts.len());
    for channel in &wanted.channels {
        let account = lab
            .accounts
            .iter()
            .find(|account| account.id == channel.id.as_str())
            .unwrap();
        assert_eq!(
            channel.secrets["access_key_id"].expose(),
            account.access_key_id
        );
        assert_eq!(channel.endpoint, Some(format!("http://{}", lab.listen)));
        let url = account.receipt_url.as_deref().unwrap();
        let token = channel.receipt_token.as_ref().unwrap().expose();
        assert!(
            url.ends_with(&format!("/receipts/{}/{token}", channel.id)),
            "{url}"
        );
        for signature in wanted
            .signatures
            .iter()
            .filter(|s| s.channels.contains_key(&channel.id))
        {
            assert!(
                account.sign_names.contains(&signature.text),
                "{} {}",
                channel.id,
                signature.id
            );
        }
        for ours in wanted.templates.iter() {
            let Some(on) = ours.channels.get(&channel.id) else {
                continue;
            };
            assert_eq!(
                on.form,
                Form::Named {
                    names: BTreeMap::new()
                }
            );
            let theirs = &account.templates[on.code.as_ref().unwrap()];
            let mut names: Vec<_> = ours.variables.iter().map(|v| v.name.clone()).collect();
            let mut wants = theirs.variables.clone();
            names.sort_unstable();
            wants.sort_unstable();
            assert_eq!(names, wants, "{}", ours.id);
            let params = ours
                .variables
                .iter()
                .map(|v| (v.name.clone(), format!("${{{}}}", v.name)))
                .collect();
            assert_eq!(
                theirs.body,
                template::render(&ours.body, &params).ok(),
                "{}",
                ours.id
            );
        }
    }
}
