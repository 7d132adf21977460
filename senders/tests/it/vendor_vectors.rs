//! Vectors made with the vendors' own SDKs: every file in `fixtures/vectors`, whatever its keys, clocks and texts; those
//! of texts besides. Those of vendors and kinds without an adapter are skipped by name.

mod aliyun;
mod encoding;
mod feige;
mod huawei;
mod jdcloud;
mod lexin;
mod montnets;
mod tencent;
mod twilio;
mod vonage;

use serde_json::Value;

use crate::support::fixtures;

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn pairs(value: &Value) -> Vec<(&str, &str)> {
    let fields = value.as_object().unwrap().iter();
    fields
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect()
}

#[test]
fn vendor_vectors() {
    let (mut checked, mut skipped) = (Vec::new(), Vec::new());
    for path in fixtures("vectors") {
        let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for vector in file["vectors"].as_array().unwrap() {
            let (id, inputs, expected) =
                (text(&vector["id"]), &vector["inputs"], &vector["expected"]);
            let built = match vector["vendor"].as_str().unwrap() {
                "aliyun" => aliyun::check(&id, inputs, expected),
                "encoding" => encoding::check(&id, inputs, expected),
                "feige" => feige::check(&id, inputs, expected),
                "huawei" => huawei::check(&id, inputs, expected),
                "jdcloud" => jdcloud::check(&id, inputs, expected),
                "lexin" => lexin::check(&id, inputs, expected),
                "montnets" => montnets::check(&id, inputs, expected),
                "tencent" => tencent::check(&id, inputs, expected),
                "twilio" => twilio::check(&id, inputs, expected),
                "vonage" => vonage::check(&id, inputs, expected),
                _ => false,
            };
            if built { &mut checked } else { &mut skipped }.push(id);
        }
    }
    println!("checked: {}", checked.join(" "));
    println!("skipped, no adapter: {}", skipped.join(" "));
    for (vendor, least) in [
        ("aliyun.acs3.", 6),
        ("aliyun.rpc_v1.", 3),
        ("encoding.", 22),
        ("feige.", 1),
        ("huawei.", 5),
        ("jdcloud.v2.", 1),
        ("jdcloud.v3.", 2),
        ("lexin.", 1),
        ("montnets.", 4),
        ("tencent.tc3.", 3),
        ("twilio.", 3),
        ("vonage.", 5),
    ] {
        let count = checked.iter().filter(|id| id.starts_with(vendor)).count();
        assert!(count >= least, "{vendor}: {count} of {least}");
    }
}
