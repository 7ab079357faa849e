//! Who asks, before anybody knows their name: the address of the connection, or what a proxy that is
//! trusted says of it. What anybody else writes into a header counts for nothing.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::HeaderMap;
use ipnet::IpNet;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Where a request comes from: the last address of `X-Forwarded-For` that no trusted proxy has, when
/// the connection is one's.
pub fn of_request(connection: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let connection = connection.to_canonical();
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    if !is_trusted(&connection) {
        return connection;
    }
    let mut last = connection;
    let lines: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .collect();
    let steps = lines.iter().rev().flat_map(|line| line.rsplit(','));
    for step in steps {
        // What is no address was not written by a proxy of ours.
        let Ok(address) = step.trim().parse::<IpAddr>() else {
            return last;
        };
        last = address.to_canonical();
        if !is_trusted(&last) {
            return last;
        }
    }
    last
}

/// What one is counted under: an IPv6 network of 64 bits is one customer.
pub fn key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let network = address.to_bits() & (u128::MAX << 64);
            Ipv6Addr::from_bits(network).into()
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(line).unwrap());
        }
        headers
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_what_trusted_proxies_wrote_counts() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let from = |peer: &str, lines: &[&str]| {
            of_request(address(peer), &headers(lines), &trusted).to_string()
        };
        assert_eq!(from("203.0.113.9", &["1.2.3.4"]), "203.0.113.9", "forged");
        assert_eq!(from("10.0.0.1", &["1.2.3.4, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(
            from("10.0.0.1", &["1.2.3.4", "203.0.113.9, 10.0.0.7"]),
            "203.0.113.9"
        );
        assert_eq!(from("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(from("10.0.0.1", &["unknown, 10.0.0.7"]), "10.0.0.7");
        assert_eq!(from("::ffff:10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
    }

    proptest! {
        /// R38: whatever is forged in front, one who is not trusted is counted as one.
        #[test]
        fn forged_headers_change_nothing(
            forged in proptest::collection::vec("[0-9a-f:., ]{0,40}", 0..4), peer: [u8; 4],
        ) {
            let lines: Vec<&str> = forged.iter().map(String::as_str).collect();
            let peer = IpAddr::from(peer);
            prop_assert_eq!(of_request(peer, &headers(&lines), &[]), peer);
            let proxy: IpNet = "192.0.2.0/24".parse().unwrap();
            prop_assume!(!proxy.contains(&peer));
            let mut through = lines.clone();
            let real = peer.to_string();
            through.push(&real);
            prop_assert_eq!(of_request(address("192.0.2.1"), &headers(&through), &[proxy]), peer);
        }

        #[test]
        fn a_network_of_64_bits_is_one(high: u64, low: u64, other: u64) {
            prop_assume!(high != 0);
            let of = |low: u64| IpAddr::from(Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low)));
            prop_assert_eq!(key(of(low)), key(of(other)));
        }
    }
}
