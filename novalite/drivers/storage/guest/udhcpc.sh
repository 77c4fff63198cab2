#!/bin/sh
# Called by udhcpc with the lease in the environment.
case $1 in
deconfig)
    ip -4 addr flush dev "$interface"
    ip link set "$interface" up
    ;;
bound | renew)
    [ "$1" = bound ] && ip -4 addr flush dev "$interface"
    [ -n "$mtu" ] && ip link set "$interface" mtu "$mtu"
    ip addr replace "$ip/${mask:-24}" dev "$interface"
    event=$1
    # Of several cards the first one leads out.
    metric=$(cat "/sys/class/net/$interface/ifindex")
    if [ -n "$staticroutes" ]; then
        set -- $staticroutes
        while [ -n "$2" ]; do
            case $2 in
            0.0.0.0) ip route replace "$1" dev "$interface" metric "$metric" ;;
            *) ip route replace "$1" via "$2" dev "$interface" metric "$metric" ;;
            esac
            shift 2
        done
    else
        for r in $router; do
            ip route replace default via "$r" dev "$interface" metric "$metric"
            break
        done
    fi
    : > /etc/resolv.conf
    for d in $dns; do echo "nameserver $d" >> /etc/resolv.conf; done
    [ -n "$hostname" ] && echo "$hostname" > /run/dhcp-hostname
    if [ "$event" = bound ]; then
        line="GUEST: dhcp $interface $ip/$mask router=${router:-none} mtu=${mtu:-none}"
        echo "$line" > /dev/console
        echo "$line" > /dev/tty1
    fi
    ;;
esac
exit 0
