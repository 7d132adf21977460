//! Who is at the other end: the peer's address, or what a trusted proxy says about it.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

fn trusted(address: IpAddr, proxies: &[IpNet]) -> bool {
    proxies.iter().any(|net| net.contains(&address))
}

/// Address of the caller. `X-Forwarded-For` counts only when the peer is a trusted proxy, and then its rightmost hop
/// that is none: what stands further left is the caller's own claim. `None` when that hop is no address.
pub(crate) fn client_address(
    peer: IpAddr,
    headers: &HeaderMap,
    proxies: &[IpNet],
) -> Option<IpAddr> {
    let mut client = peer.to_canonical();
    if !trusted(client, proxies) {
        return Some(client);
    }
    let lines: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
    for line in lines.into_iter().rev() {
        for hop in line.to_str().ok()?.rsplit(',') {
            client = parse(hop.trim())?.to_canonical();
            if !trusted(client, proxies) {
                return Some(client);
            }
        }
    }
    Some(client)
}

/// Some proxies add the port.
fn parse(hop: &str) -> Option<IpAddr> {
    hop.parse()
        .ok()
        .or_else(|| hop.parse::<SocketAddr>().ok().map(|a| a.ip()))
}

/// Whether nobody on the way could have read the request: TLS to us or to a trusted proxy, or the same host.
pub(crate) fn is_confidential(
    tls: bool,
    peer: IpAddr,
    headers: &HeaderMap,
    proxies: &[IpNet],
) -> bool {
    if tls {
        return true;
    }
    let peer = peer.to_canonical();
    match headers.get("x-forwarded-proto") {
        Some(proto) if trusted(peer, proxies) => proto.as_bytes().eq_ignore_ascii_case(b"https"),
        _ => peer.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    #[rstest]
    #[case::no_proxy("203.0.113.9", &["10.1.1.1"], Some("203.0.113.9"))]
    #[case::one_hop("10.0.0.1", &["198.51.100.7"], Some("198.51.100.7"))]
    #[case::claimed_hop_left_of_the_real_one("10.0.0.1", &["192.0.2.1, 198.51.100.7"], Some("198.51.100.7"))]
    #[case::chain_of_proxies("10.0.0.1", &["198.51.100.7, 10.0.0.2"], Some("198.51.100.7"))]
    #[case::several_lines("10.0.0.1", &["192.0.2.1", "198.51.100.7"], Some("198.51.100.7"))]
    #[case::with_port("10.0.0.1", &["198.51.100.7:555"], Some("198.51.100.7"))]
    #[case::mapped_peer("::ffff:10.0.0.1", &["198.51.100.7"], Some("198.51.100.7"))]
    #[case::no_header("10.0.0.1", &[], Some("10.0.0.1"))]
    #[case::rubbish("10.0.0.1", &["unknown"], None)]
    fn the_rightmost_untrusted_hop_is_the_caller(
        #[case] peer: &str,
        #[case] hops: &[&'static str],
        #[case] want: Option<&str>,
    ) {
        let lines: Vec<_> = hops.iter().map(|hop| ("x-forwarded-for", *hop)).collect();
        let got = client_address(
            peer.parse().unwrap(),
            &headers(&lines),
            &["10.0.0.0/8".parse().unwrap()],
        );
        assert_eq!(got, want.map(|w| w.parse().unwrap()));
    }

    #[rstest]
    #[case::tls(true, "203.0.113.9", None, true)]
    #[case::plain_from_afar(false, "203.0.113.9", None, false)]
    #[case::claims_tls_but_is_no_proxy(false, "203.0.113.9", Some("https"), false)]
    #[case::same_host(false, "127.0.0.1", None, true)]
    #[case::proxy_with_tls(false, "10.0.0.1", Some("https"), true)]
    #[case::proxy_without_tls(false, "10.0.0.1", Some("http"), false)]
    #[case::proxy_that_says_nothing(false, "10.0.0.1", None, false)]
    fn only_an_unreadable_way_is_confidential(
        #[case] tls: bool,
        #[case] peer: &str,
        #[case] proto: Option<&'static str>,
        #[case] want: bool,
    ) {
        let lines: Vec<_> = proto
            .map(|p| ("x-forwarded-proto", p))
            .into_iter()
            .collect();
        assert_eq!(
            is_confidential(
                tls,
                peer.parse().unwrap(),
                &headers(&lines),
                &["10.0.0.0/8".parse().unwrap()]
            ),
            want
        );
    }
}
