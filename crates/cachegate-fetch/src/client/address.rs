//! Which addresses are on the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a host's addresses are good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reach {
    /// Anyone may reach it.
    Public,
    /// This machine or its own network: for hosts that were named alone.
    Private,
    /// Where cloud machines find their own credentials, and what is no single host: for nobody.
    Never,
}

/// The special-purpose registries of IANA (RFC 6890), of 2025.
pub(super) fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => reach_v6(address),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        // "This network", link-local with its metadata services, multicast, reserved and broadcast.
        [0, ..] | [169, 254, ..] | [224..=255, ..] => Reach::Never,
        [10 | 127, ..]
        | [100, 64..=127, ..]
        | [172, 16..=31, ..]
        | [192, 168, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Reach::Private,
        _ => Reach::Public,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        reach_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // IPv4-mapped; the prefix of NAT64 (RFC 6052); 6to4 (RFC 3056): the IPv4 address inside decides.
        [0, 0, 0, 0, 0, 0xFFFF, high, low] | [0x64, 0xFF9B, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Private,
        // The metadata service of AWS has an address among the unique local ones.
        [0xFD00, 0x0EC2, ..] => Reach::Never,
        [0xFC00..=0xFDFF, ..] => Reach::Private,
        // Protocol assignments with Teredo, and documentation.
        [0x2001, 0..=0x1FF | 0xDB8, ..] | [0x3FFF, 0..=0xFFF, ..] => Reach::Private,
        [0x2000..=0x3FFF, ..] => Reach::Public,
        _ => Reach::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_special_range_is_known_at_both_ends_and_in_each_disguise() {
        use Reach::{Never, Private, Public};
        for (text, expected) in [
            ("8.8.8.8", Public),
            ("9.255.255.255", Public),
            ("10.0.0.0", Private),
            ("10.255.255.255", Private),
            ("11.0.0.0", Public),
            ("100.63.255.255", Public),
            ("100.64.0.0", Private),
            ("100.127.255.255", Private),
            ("100.128.0.0", Public),
            ("127.0.0.1", Private),
            ("127.255.255.255", Private),
            ("169.253.255.255", Public),
            ("169.254.169.254", Never),
            ("172.15.255.255", Public),
            ("172.16.0.0", Private),
            ("172.31.255.255", Private),
            ("172.32.0.0", Public),
            ("192.168.0.1", Private),
            ("198.19.255.255", Private),
            ("203.0.113.9", Private),
            ("224.0.0.1", Never),
            ("255.255.255.255", Never),
            ("0.0.0.0", Never),
            ("2606:4700::1", Public),
            ("::1", Private),
            ("::", Never),
            ("::ffff:10.0.0.1", Private),
            ("::ffff:8.8.8.8", Public),
            ("::ffff:169.254.169.254", Never),
            ("64:ff9b::7f00:1", Private),
            ("64:ff9b::a9fe:a9fe", Never),
            ("64:ff9b::808:808", Public),
            ("2002:a00:1::", Private),
            ("2001::1", Private),
            ("2001:db8::1", Private),
            ("fc00::1", Private),
            ("fd00:ec2::254", Never),
            ("fe80::1", Never),
            ("ff02::1", Never),
            ("::7f00:1", Never),
        ] {
            assert_eq!(reach(text.parse().unwrap()), expected, "{text}");
        }
    }
}
