# An ESME on Perl Net::SMPP: binds, sends what the plan says, waits for deliveries, unbinds.
# usage: perl esme.pl PLAN (JSON); prints one JSON line for everything it saw. Splits by sar_* TLVs, or
# sends a message_payload.
use strict;
use warnings;
use Encode qw(encode decode);
use IO::Select;
use JSON::PP;
use Net::SMPP;
use Time::HiRes qw(sleep time);

use constant { DELIVER_SM => 0x05, UNBIND => 0x06, ENQUIRE_LINK => 0x15, PAUSE => 0.1 };
# Perl's charset, the data_coding, and so many octets a part.
my %ENCODINGS = (gsm7 => ['gsm0338', 0, 153], latin1 => ['iso-8859-1', 3, 134], ucs2 => ['UTF-16BE', 8, 134]);
my %DECODE = (0 => 'gsm0338', 1 => 'ascii', 3 => 'iso-8859-1', 8 => 'UTF-16BE');

my $json = JSON::PP->new->ascii->canonical;
my $plan = JSON::PP->new->utf8->decode($ARGV[0]);
my ($smpp, %asked, %answered);
my ($deliveries, $accepted, $enquired, $unbound, $reference) = (0, 0, 0, 0, 0);
$| = 1;

sub say_event { my ($event, %fields) = @_; print $json->encode({ event => $event, %fields }), "\n"; }
sub fail { say_event('failure', why => "@_"); exit 1; }
my $deadline = time + $plan->{patience_ms} / 1000;

# A field that came as a C-string, or not at all.
sub text { my ($value) = @_; return undef unless defined $value; $value =~ s/\0.*//s; return $value; }

# Connects and binds; the answer, or nothing.
sub bind_once {
    $smpp = Net::SMPP->new_connect($plan->{host}, port => $plan->{port}, async => 1, enquire_interval => 0) or return;
    my %mode = (transceiver => 'bind_transceiver', transmitter => 'bind_transmitter', receiver => 'bind_receiver');
    my $bind = $mode{ $plan->{mode} };
    $smpp->$bind(system_id => $plan->{system_id}, password => $plan->{password});
    return $smpp->read_pdu;
}

# Reads one PDU and answers what asks for it; false when the connection is gone.
sub read_one {
    # Net::SMPP reads without a limit in time of its own.
    IO::Select->new($smpp)->can_read($deadline - time) or fail('out of patience');
    my $pdu = $smpp->read_pdu or return 0;
    if ($pdu->{cmd} == DELIVER_SM) { delivered($pdu) }
    elsif ($pdu->{cmd} == ENQUIRE_LINK) { $smpp->enquire_link_resp(seq => $pdu->{seq}) }
    elsif ($pdu->{cmd} == UNBIND) { $smpp->unbind_resp(seq => $pdu->{seq}); return 0 }
    elsif ($pdu->{cmd} == (UNBIND | 0x80000000)) { say_event('unbind', status => $pdu->{status}); $unbound = 1 }
    elsif ($pdu->{cmd} == (ENQUIRE_LINK | 0x80000000)) { say_event('link', status => $pdu->{status}); $enquired = 1 }
    elsif (my $about = $asked{ $pdu->{seq} }) {
        say_event('answer', n => $about->[0], part => $about->[1], status => $pdu->{status}, message_id => text($pdu->{message_id}));
        $answered{ $pdu->{seq} } = 1;
        $accepted += 1 if $pdu->{status} == 0;
    }
    return 1;
}

sub delivered {
    my ($pdu) = @_;
    my $charset = $DECODE{ $pdu->{data_coding} } or fail("data_coding $pdu->{data_coding}");
    my $state = $pdu->{message_state};
    say_event('deliver', source => $pdu->{source_addr}, destination => $pdu->{destination_addr},
        esm_class => $pdu->{esm_class}, data_coding => $pdu->{data_coding}, text => decode($charset, $pdu->{short_message}),
        message_id => text($pdu->{receipted_message_id}), state => defined $state ? unpack('C', $state) : undef);
    $smpp->deliver_sm_resp(seq => $pdu->{seq}, message_id => '');
    $deliveries += 1;
}

sub read_until { my ($done) = @_; until ($done->()) { read_one() or fail('the connection is gone') } }

sub rebind {
    say_event('waiting');
    1 while read_one();
    $smpp->close;
    say_event('close');
    my $bound;
    until ($bound = bind_once() and $bound->{status} == 0) {
        fail('out of patience') if time > $deadline;
        $smpp->close if $smpp;
        sleep PAUSE;
    }
    say_event('bind', status => 0);
}

# All parts at once, or each when the last is answered.
sub send_message {
    my ($n, $message) = @_;
    rebind() if $message->{after_loss};
    my $after = $message->{after} || 0;
    read_until(sub { $deliveries >= $after });
    my ($charset, $data_coding, $size) = @{ $ENCODINGS{ $message->{encoding} } };
    my $octets = encode($charset, $message->{text});
    my $split = $message->{split} && !$message->{payload};
    my @parts = $split ? unpack("(a$size)*", $octets) : ($octets);
    $reference += 1;
    my @numbers;
    my $all = sub { !grep { !$answered{$_} } @numbers };
    for my $part (0 .. $#parts) {
        my @tlvs = @parts == 1 ? () : (sar_msg_ref_num => pack('n', $reference),
            sar_total_segments => pack('C', scalar @parts), sar_segment_seqnum => pack('C', $part + 1));
        my $number = $smpp->submit_sm(
            source_addr_ton => 0, source_addr_npi => 1, source_addr => $message->{source},
            dest_addr_ton => 1, dest_addr_npi => 1, destination_addr => $message->{destination},
            registered_delivery => $message->{registered_delivery} || 0, data_coding => $data_coding,
            $message->{payload} ? (message_payload => $parts[$part]) : (short_message => $parts[$part]), @tlvs);
        $asked{$number} = [$n, $part];
        push @numbers, $number;
        read_until($all) if $message->{one_by_one};
    }
    read_until($all);
}

my $bound = bind_once() or fail("no answer to the bind: $!");
say_event('bind', status => $bound->{status}, system_id => $bound->{system_id});
exit 0 if $bound->{status} != 0;
send_message($_, $plan->{messages}[$_]) for 0 .. $#{ $plan->{messages} };
$smpp->enquire_link;
my $expected = $plan->{deliveries} + ($plan->{receipts_for_accepted} ? $accepted : 0);
read_until(sub { $enquired && $deliveries >= $expected });
$smpp->unbind;
read_until(sub { $unbound });
$smpp->close;
say_event('close');
