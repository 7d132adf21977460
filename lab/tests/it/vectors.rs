//! Vectors made with the vendors' own SDKs (`produced_by` names their versions), against the lab's own code: every file in
//! the folder that senders and lab have in common. Those of vendors and kinds that the lab does not play are skipped by name.

mod aliyun;
mod feige;
mod huawei;
mod jdcloud;
mod lexin;
mod montnets;
mod tencent;
mod twilio;
mod vonage;

use std::path::Path;

use serde_json::Value;

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn pairs(value: &Value) -> Vec<(String, String)> {
    let fields = value.as_object().unwrap().iter();
    fields
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

#[test]
fn vendor_vectors() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../senders/tests/fixtures/vectors");
    let (mut checked, mut skipped) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for vector in file["vectors"].as_array().unwrap() {
            let (id, inputs, expected) =
                (text(&vector["id"]), &vector["inputs"], &vector["expected"]);
            let played = match vector["vendor"].as_str().unwrap() {
                "aliyun" => aliyun::check(&id, inputs, expected),
                "feige" => feige::check(&id, inputs, expected),
                "jdcloud" => jdcloud::check(&id, inputs, expected),
                "lexin" => lexin::check(&id, inputs, expected),
                "tencent" => tencent::check(&id, inputs, expected),
                "twilio" => twilio::check(&id, inputs, expected),
                "huawei" => huawei::check(&id, inputs, expected),
                "montnets" => montnets::check(&id, inputs, expected),
                "vonage" => vonage::check(&id, inputs, expected),
                _ => false,
            };
            if played { &mut checked } else { &mut skipped }.push(id);
        }
    }
    println!("checked: {}", checked.join(" "));
    println!("skipped, not played: {}", skipped.join(" "));
    for (vendor, least) in [
        ("aliyun.acs3.", 6),
        ("aliyun.rpc_v1.", 3),
        ("feige.body_v2", 1),
        ("jdcloud.v2.", 1),
        ("jdcloud.v3.", 2),
        ("lexin.accpwd", 1),
        ("tencent.tc3.", 3),
        ("twilio.signature.", 2),
        ("huawei.wsse", 1),
        ("huawei.aksk.", 4),
        ("montnets.", 4),
        ("vonage.signature.", 4),
    ] {
        let count = checked.iter().filter(|id| id.starts_with(vendor)).count();
        assert!(count >= least, "{vendor}: {count} of {least}");
    }
}
