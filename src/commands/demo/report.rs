//! What the demo prints at the end: figures from ClickHouse, verdicts, and what to try next.

use std::path::Path;

use super::{load::Door, play::Played, store::Store};
use crate::{commands::print, config::Config};

type ChannelRow = (
    String,
    i64,
    i64,
    f64,
    [Option<f64>; 2],
    [Option<f64>; 2],
    f64,
);

pub(super) async fn figures(store: &Store, played: &Played) -> anyhow::Result<()> {
    let run = &played.run;
    print("")?;
    let [single, batch, direct] = Door::ALL.map(|door| played.accepted.doors[door as usize]);
    print(format_args!(
        "{} messages accepted: {single} one by one, {batch} in batches, {direct} straight to Kafka",
        played.accepted.ids.len()
    ))?;
    let counts: Vec<String> = played
        .counts
        .iter()
        .map(|(name, n)| format!("{n} {name}"))
        .collect();
    print(format_args!("  {}", counts.join(", ")))?;

    let sql = format!(
        "SELECT channel, toInt32(sum(delta)), toInt32(sumIf(delta, outcome = 'delivered')),
            toFloat64(sumIf(delta, outcome = 'delivered') / sum(delta)),
            [quantileIf(0.5)(submit_ms, delta = 1), quantileIf(0.99)(submit_ms, delta = 1)],
            [quantileIf(0.5)(handset_ms, delta = 1 AND outcome = 'delivered'),
                quantileIf(0.99)(handset_ms, delta = 1 AND outcome = 'delivered')],
            sum(delta * cost_micros) / 1000000
        FROM outcomes WHERE campaign = '{run}' AND channel != '' GROUP BY channel ORDER BY channel"
    );
    let rows: Vec<ChannelRow> = store.ask(&sql).await?;
    print("")?;
    print(
        "last channel   ended  delivered   rate   to vendor p50/p99 ms   to handset p50/p99 ms   cost CNY",
    )?;
    for (channel, ended, delivered, rate, submit, handset, cost) in rows {
        print(format_args!(
            "{channel:12} {ended:7} {delivered:10} {:5.1} % {:>22} {:>23} {cost:10.2}",
            100.0 * rate,
            pair(submit),
            pair(handset),
        ))?;
    }

    let sql = format!(
        "SELECT toInt32(sumIf(delta, attempts > 1)), toInt32(sumIf(delta, attempts > 1 AND outcome = 'delivered')),
            toInt32(sumIf(delta, first_channel != channel AND channel != '')), toInt32(countIf(seq > 0 AND delta = 1))
        FROM outcomes WHERE campaign = '{run}'"
    );
    let rows: Vec<(i64, i64, i64, i64)> = store.ask(&sql).await?;
    for (again, arrived, moved, corrected) in rows {
        print(format_args!(
            "\n{again} messages needed a second or third attempt, {arrived} of them were delivered; {moved} ended on \
             another channel than their first; {corrected} outcomes were corrected by a late receipt"
        ))?;
    }

    if let Some((channel, chart)) = &played.chart {
        print(format_args!("\nshare of {channel} in the decisions"))?;
        for line in chart {
            print(line)?;
        }
    }
    print("")?;
    for verdict in &played.verdicts {
        let word = if verdict.pass { "PASS" } else { "FAIL" };
        print(format_args!("{word}  {}", verdict.text))?;
    }
    Ok(())
}

fn pair(quantiles: [Option<f64>; 2]) -> String {
    let text = |q: Option<f64>| q.map_or_else(|| "-".to_owned(), |q| format!("{q:.0}"));
    let [p50, p99] = quantiles;
    format!("{} / {}", text(p50), text(p99))
}

/// Addresses and commands, to be pasted.
pub(super) fn addresses(config: &Config, lab: &str, data: &Path) -> anyhow::Result<()> {
    let program = std::env::current_exe().unwrap_or_else(|_| "jixinda".into());
    let program = program.display();
    let ingest = config.ingest.listen;
    let data = data.display();
    print(format_args!(
        r#"
To try it yourself, in another shell:

  set -a; source {data}/demo.env; set +a

  # one message; a few seconds later what became of it, and why it went where it went
  id=$(curl -sS http://{ingest}/v1/messages -H "Authorization: Bearer shop-1.$JIXINDA_DEMO_SHOP_SECRET" \
    -H 'Content-Type: application/json' \
    -d '{{"recipient":"13800138000","template":"otp","params":{{"code":"123456","minutes":"5"}}}}' |
    tee /dev/stderr | sed 's/.*"message_id":"\([^"]*\)".*/\1/')
  sleep 6
  curl -sS -w '\n' http://{ingest}/v1/messages/$id -H "Authorization: Bearer shop-1.$JIXINDA_DEMO_SHOP_SECRET"
  curl -sS -w '\n' http://{ingest}/v1/messages/$id/decision -H "Authorization: Bearer shop-1.$JIXINDA_DEMO_SHOP_SECRET"

  # figures
  {program} query
  {program} query delivery_by_channel
  curl -sS "http://{clickhouse}/?database={database}" -H "X-ClickHouse-User: {reader}" \
    -H "X-ClickHouse-Key: $JIXINDA__ENGINE__READ_PASSWORD" -d 'SELECT outcome, sum(delta) FROM outcomes GROUP BY outcome FORMAT Pretty'

  # something goes wrong at a vendor, and what the platform makes of it
  {program} lab run lab/scenarios/balance-runs-out.toml

  # take a channel down at the lab, and bring it back
  curl -sS -o /dev/null -X PATCH {lab}/lab/accounts/aliyun-b -d '{{"behaviour":{{"down":"unavailable"}}}}'
  curl -sS -o /dev/null -X PATCH {lab}/lab/accounts/aliyun-b -d '{{"behaviour":{{"down":"no"}}}}'

API          http://{ingest}/v1/messages      docs/http-api.md
receipts     http://{receipts}/receipts/…
admin        http://{admin}/metrics  /readyz  /livez
ClickHouse   http://{clickhouse}
vendor lab   {lab}/lab/accounts  /lab/stats
Kafka        {brokers}                  docs/events.md
logs         {data}/run.log  {data}/lab.log  {data}/kafka/server.log"#,
        clickhouse = config.engine.listen,
        database = config.analytics.database,
        reader = config.engine.read_user,
        receipts = config.senders.listen,
        admin = config.admin.listen,
        brokers = config.kafka.brokers,
    ))
}
