use proptest::prelude::*;

use super::*;

fn heard(utterance: u64, length_ms: usize) -> Heard {
    Heard {
        utterance,
        pcm: vec![0; length_ms * 16].into(),
        sound_ms: 0,
        start_ms: utterance as i64 * 10_000,
        end_ms: utterance as i64 * 10_000 + length_ms as i64,
        voiced_ms: length_ms as i64,
        voice: 0.9,
        voices: Vec::new(),
    }
}

fn job(ear: u64, kind: Kind, utterance: u64, length_ms: usize, now: u64) -> Job {
    Job::new(EarId(ear), PartyKey(ear), 0, kind, heard(utterance, length_ms), now)
}

fn schedule(ears: u64, workers: usize, limit_ms: u64) -> Schedule<&'static str> {
    let mut schedule = Schedule::new(workers, limit_ms);
    (0..ears).for_each(|ear| schedule.open(EarId(ear)));
    schedule
}

fn started(schedule: &mut Schedule<&'static str>, now: u64) -> Option<(u64, Kind, u64)> {
    schedule.start(now).map(|job| (job.ear.0, job.kind, job.heard.utterance))
}

#[test]
fn the_oldest_final_goes_first_but_a_party_never_overtakes_itself() {
    let mut schedule = schedule(3, 2, 100_000);
    for (ear, utterance) in [(1, 0), (1, 1), (2, 0)] {
        assert!(schedule.push(job(ear, Kind::Final, utterance, 1000, 0)).is_ok());
    }
    assert_eq!(started(&mut schedule, 0), Some((1, Kind::Final, 0)));
    assert_eq!(started(&mut schedule, 0), Some((2, Kind::Final, 0)), "the second of party 1 waits for the first");
    assert_eq!(started(&mut schedule, 0), None);
    schedule.done(EarId(1));
    assert_eq!(started(&mut schedule, 0), Some((1, Kind::Final, 1)));
}

#[test]
fn finals_that_do_not_fit_are_given_back_and_room_returns() {
    let mut schedule = schedule(3, 2, 2000);
    assert!(schedule.push(job(1, Kind::Final, 0, 1500, 0)).is_ok());
    assert!(schedule.push(job(2, Kind::Final, 0, 1500, 0)).is_err());
    assert!(schedule.start(0).is_some());
    assert_eq!(schedule.waiting_ms(), 0);
    assert!(schedule.push(job(2, Kind::Final, 1, 1500, 0)).is_ok());
}

#[test]
fn a_guess_that_was_right_is_the_result_at_once_and_one_that_was_wrong_is_none() {
    let mut schedule = schedule(1, 1, 100_000);
    schedule.guess(job(0, Kind::Guess, 0, 900, 0));
    let guess = schedule.start(0).expect("an idle worker guesses");
    schedule.guessed(guess, Some("words"));
    assert!(schedule.ready().is_none(), "it has not ended yet");
    assert!(schedule.push(job(0, Kind::Final, 0, 900, 0)).is_ok());
    assert_eq!(schedule.ready().map(|(_, words)| words), Some("words"));
    assert!(schedule.pending(EarId(0)), "it is being given out");
    schedule.done(EarId(0));
    assert!(!schedule.pending(EarId(0)));

    schedule.guess(job(0, Kind::Guess, 1, 900, 0));
    let guess = schedule.start(0).expect("guess");
    schedule.guessed(guess, Some("half of it"));
    assert!(schedule.push(job(0, Kind::Final, 1, 2500, 0)).is_ok(), "more came");
    assert!(schedule.ready().is_none());
    assert_eq!(started(&mut schedule, 0), Some((0, Kind::Final, 1)));
    assert_eq!(schedule.counts(), Counts { captions_dropped: 0, guesses: 2, guesses_used: 1 });
}

#[test]
fn a_guess_in_hand_becomes_the_final_and_is_tried_again_if_it_fails() {
    let mut schedule = schedule(1, 2, 100_000);
    schedule.guess(job(0, Kind::Guess, 0, 900, 0));
    let guess = schedule.start(0).expect("guess");
    assert!(schedule.push(job(0, Kind::Final, 0, 900, 0)).is_ok());
    assert!(schedule.pending(EarId(0)));
    assert_eq!(started(&mut schedule, 0), None, "it is not decoded twice");
    schedule.guessed(guess, None);
    assert_eq!(started(&mut schedule, 0), Some((0, Kind::Final, 0)));
}

#[test]
fn a_result_that_is_known_early_waits_for_what_was_said_before_it() {
    let mut schedule = schedule(1, 2, 100_000);
    assert!(schedule.push(job(0, Kind::Final, 0, 900, 0)).is_ok());
    assert!(schedule.start(0).is_some());
    schedule.guess(job(0, Kind::Guess, 1, 500, 0));
    let guess = schedule.start(0).expect("another worker guesses meanwhile");
    schedule.guessed(guess, Some("second"));
    assert!(schedule.push(job(0, Kind::Final, 1, 500, 0)).is_ok());
    assert!(schedule.ready().is_none());
    schedule.done(EarId(0));
    assert_eq!(schedule.ready().map(|(_, words)| words), Some("second"));
}

#[test]
fn a_final_that_failed_comes_again_in_its_place_after_its_pause() {
    let mut schedule = schedule(1, 1, 100_000);
    for utterance in 0..2 {
        assert!(schedule.push(job(0, Kind::Final, utterance, 900, 0)).is_ok());
    }
    let first = schedule.start(0).expect("first");
    schedule.again(first, 500);
    assert_eq!(started(&mut schedule, 499), None, "the second does not overtake it");
    assert_eq!(schedule.next_due_ms(499), Some(500));
    let again = schedule.start(500).expect("again");
    assert_eq!((again.heard.utterance, again.attempts), (0, 1));
}

#[test]
fn captions_wait_for_finals_leave_a_worker_free_and_go_round() {
    let mut schedule = schedule(4, 2, 100_000);
    for ear in 0..3 {
        assert!(schedule.wants_caption(EarId(ear), 0, 900, 0));
        schedule.caption(job(ear, Kind::Caption, 0, 900, 0));
    }
    assert!(schedule.push(job(3, Kind::Final, 0, 900, 0)).is_ok());
    assert_eq!(started(&mut schedule, 1), Some((3, Kind::Final, 0)));
    assert_eq!(started(&mut schedule, 1), Some((0, Kind::Caption, 0)));
    assert_eq!(started(&mut schedule, 1), None, "one of two workers is left for finals");
    schedule.caption(job(0, Kind::Caption, 0, 1600, 2));
    schedule.captioned(EarId(0), 100);
    assert_eq!(started(&mut schedule, 3), Some((1, Kind::Caption, 0)), "the others come first");
    schedule.captioned(EarId(1), 100);
    assert_eq!(started(&mut schedule, 4), Some((2, Kind::Caption, 0)));
    schedule.captioned(EarId(2), 100);
    assert_eq!(started(&mut schedule, 5), Some((0, Kind::Caption, 0)));
}

#[test]
fn a_guess_is_a_caption_too_and_the_next_one_is_due_a_step_behind_it() {
    let mut schedule = schedule(1, 2, 100_000);
    assert!(schedule.wants_caption(EarId(0), 0, 1000, 0));
    schedule.guess(job(0, Kind::Guess, 0, 1000, 0));
    assert!(!schedule.wants_caption(EarId(0), 0, 1100, 100));
    assert!(schedule.wants_caption(EarId(0), 0, 1600, 600));
}

#[test]
fn late_finals_stop_captions_and_each_dropped_one_is_counted() {
    let mut schedule = schedule(2, 1, 1_000_000);
    schedule.caption(job(1, Kind::Caption, 0, 900, 0));
    for utterance in 0..2 {
        assert!(schedule.push(job(0, Kind::Final, utterance, 900, 0)).is_ok());
    }
    assert!(schedule.start(0).is_some());
    let late = BEHIND_MS + 1;
    assert!(!schedule.wants_caption(EarId(1), 0, 5000, late));
    assert_eq!(started(&mut schedule, late), None);
    assert_eq!(schedule.counts().captions_dropped, 2, "the one that was due, and the one that waited");
    assert_eq!(schedule.oldest_ms(late), late);
}

#[test]
fn a_discarded_ear_has_nothing_left_and_its_guess_is_nobodys_result() {
    let mut schedule = schedule(2, 4, 100_000);
    for ear in 0..2 {
        assert!(schedule.push(job(ear, Kind::Final, 0, 500, 0)).is_ok());
        schedule.caption(job(ear, Kind::Caption, 1, 700, 0));
    }
    schedule.guess(job(0, Kind::Guess, 1, 800, 0));
    assert!(schedule.start(0).is_some() && schedule.start(0).is_some());
    let guess = schedule.start(0).expect("guess");
    schedule.discard(EarId(0));
    assert!(schedule.push(job(0, Kind::Final, 1, 800, 0)).is_ok());
    schedule.guessed(guess, Some("withdrawn"));
    schedule.done(EarId(0));
    assert!(schedule.ready().is_none());
    assert_eq!(started(&mut schedule, 0), Some((0, Kind::Final, 1)));
}

#[derive(Debug, Clone)]
enum Step {
    Final(u64),
    Guess(u64),
    GoOn(u64),
    Caption(u64),
    Start,
    Finish(usize, bool),
    Discard(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let ear = 0u64..3;
    prop_oneof![
        1 => ear.clone().prop_map(Step::Final),
        1 => ear.clone().prop_map(Step::Guess),
        1 => ear.clone().prop_map(Step::GoOn),
        1 => ear.clone().prop_map(Step::Caption),
        4 => Just(Step::Start),
        4 => (0usize..4, prop::bool::weighted(0.8)).prop_map(|(at, good)| Step::Finish(at, good)),
        1 => ear.prop_map(Step::Discard),
    ]
}

proptest! {
    /// Whatever happens in whatever order: each ear's utterances are given out once each, in order; no final is lost unless
    /// its ear is discarded; captions never run on all workers, nor two of one ear.
    #[test]
    fn utterances_come_out_once_and_in_order_and_captions_stay_in_their_bounds(steps in prop::collection::vec(step(), 0..150)) {
        let mut schedule = schedule(3, 3, u64::MAX);
        let mut next = [0u64; 3];
        let mut expected: [Vec<u64>; 3] = Default::default();
        let mut given: [Vec<u64>; 3] = Default::default();
        let mut hands: Vec<Job> = Vec::new();
        let mut epoch = [0u64; 3];
        let mut now = 0;
        let drain = [Step::Start, Step::Finish(0, true)];
        let steps = steps.into_iter().chain(drain.into_iter().cycle().take(1200));
        for step in steps {
            now += 10;
            match step {
                Step::Final(ear) => {
                    let at = ear as usize;
                    expected[at].push(next[at]);
                    let mut job = job(ear, Kind::Final, next[at], 500, now);
                    job.epoch = epoch[at];
                    prop_assert!(schedule.push(job).is_ok());
                    next[at] += 1;
                }
                Step::Guess(ear) => {
                    let mut job = job(ear, Kind::Guess, next[ear as usize], 500, now);
                    job.epoch = epoch[ear as usize];
                    schedule.guess(job);
                }
                Step::GoOn(ear) => schedule.went_on(EarId(ear)),
                Step::Caption(ear) => schedule.caption(job(ear, Kind::Caption, next[ear as usize], 700, now)),
                Step::Start => {
                    if hands.len() < 3 && let Some(job) = schedule.start(now) {
                        let finals = hands.iter().filter(|j| j.kind == Kind::Final && j.ear == job.ear).count();
                        prop_assert!(job.kind != Kind::Final || finals == 0, "two finals of one ear in hand");
                        hands.push(job);
                        let captions: Vec<EarId> = hands.iter().filter(|j| j.kind == Kind::Caption).map(|j| j.ear).collect();
                        prop_assert!(captions.len() <= 2 && (captions.len() < 2 || captions[0] != captions[1]));
                    }
                }
                Step::Finish(at, good) => {
                    if !hands.is_empty() {
                        let job = hands.remove(at % hands.len());
                        let ear = job.ear.0 as usize;
                        match job.kind {
                            Kind::Caption => schedule.captioned(job.ear, 300),
                            Kind::Guess => schedule.guessed(job, good.then_some("words")),
                            Kind::Final if good || job.epoch != epoch[ear] => {
                                if job.epoch == epoch[ear] {
                                    given[ear].push(job.heard.utterance);
                                }
                                schedule.done(job.ear);
                            }
                            Kind::Final => schedule.again(job, now + 5),
                        }
                    }
                }
                Step::Discard(ear) => {
                    let at = ear as usize;
                    schedule.discard(EarId(ear));
                    epoch[at] += 1;
                    expected[at].clear();
                    given[at].clear();
                }
            }
            while let Some((job, _)) = schedule.ready() {
                given[job.ear.0 as usize].push(job.heard.utterance);
                schedule.done(job.ear);
            }
        }
        prop_assert!(hands.is_empty());
        prop_assert_eq!(given, expected);
        prop_assert_eq!((schedule.waiting(), schedule.in_hand()), (0, 0));
    }
}
