use super::*;

fn secs(at: u64) -> SimTime {
    SimTime::at(Duration::secs(at))
}

/// Two calls of half a CPU: one from 1 s, one from 2 s; at 3 s they have used 1 s and 0.5 s.
#[test]
fn running_calls_count_with_what_they_have_used() {
    let mut meter = CpuMeter::default();
    let half = 1 << (RATE_SHIFT - 1);
    meter.begin(half, secs(1));
    meter.begin(half, secs(2));
    assert_eq!(meter.spent(secs(3)), Duration::ms(1500));
    meter.end(half, secs(1), Duration::ms(1000).as_nanos());
    assert_eq!(meter.spent(secs(3)), Duration::ms(1500));
    meter.end(half, secs(2), Duration::ms(2000).as_nanos());
    assert_eq!(meter.spent(secs(9)), Duration::ms(3000));
}
