//! Several binds of one account over one time: they come, end and come again, the carrier too.
//!
//! Owns the clock that all sessions share, who connects when, and the carrier's restarts.
//! Refuses to know what happens within a session: that is the world's.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Instant;

use super::account::Account;
use super::random::Random;
use super::world::World;

/// Sessions of one scene, at most.
const SESSIONS: usize = 12;

pub(crate) struct Scene {
    random: Random,
    origin: Instant,
    account: Rc<RefCell<Account>>,
    worlds: Vec<World>,
    /// When the provider connects again, for each session that has ended.
    returns: Vec<u64>,
    /// When the carrier goes down or comes up next.
    turns: u64,
    end: u64,
    seen: Vec<&'static str>,
}

impl Scene {
    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin of virtual time")]
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let account = Rc::new(RefCell::new(Account::new(&mut random)));
        let binds = 1 + random.below(3);
        let returns = (0..binds).map(|_| random.delay(2_000_000)).collect();
        let turns = if random.chance(50) { random.below(60_000_000) } else { u64::MAX };
        let end = 5_000_000 + random.below(120_000_000);
        Self { random, origin: Instant::now(), account, worlds: Vec::new(), returns, turns, end, seen: Vec::new() }
    }

    /// Runs all sessions to their end; gives the names of what happened.
    pub(crate) fn run(mut self) -> Vec<&'static str> {
        for _ in 0..4_000_000 {
            let Some((at, next)) = self.next() else {
                return self.verdict();
            };
            match next {
                Next::Session(number) => self.play(number, at),
                Next::Account => self.account.borrow_mut().expire(at),
                Next::Carrier => self.turn(at),
                Next::Return(number) => {
                    self.returns.swap_remove(number);
                    let (number, seed) = (self.worlds.len(), self.random.next());
                    self.worlds.push(World::new(seed, number, self.origin, at, self.end, Rc::clone(&self.account)));
                }
            }
            self.hand_over(at);
        }
        panic!("a scene without end");
    }

    fn next(&self) -> Option<(u64, Next)> {
        let sessions = self.worlds.iter().enumerate();
        let sessions = sessions.filter_map(|(number, world)| Some((world.next_at()?, Next::Session(number))));
        let returns = self.returns.iter().enumerate().filter(|(_, at)| **at < self.end);
        let returns = returns.map(|(number, at)| (*at, Next::Return(number)));
        let account = self.account.borrow().next_at().map(|at| (at, Next::Account));
        let turns = Some((self.turns, Next::Carrier)).filter(|(at, _)| *at < self.end);
        sessions.chain(returns).chain(account).chain(turns).min_by_key(|(at, _)| *at)
    }

    fn play(&mut self, number: usize, at: u64) {
        let Some(ending) = self.worlds[number].step(at) else { return };
        self.seen.push(ending);
        if self.worlds.len() + self.returns.len() < SESSIONS {
            self.returns.push(at + self.random.delay(3_000_000));
        }
    }

    /// The carrier restarts: every connection to it is lost, and for a while there is none.
    fn turn(&mut self, at: u64) {
        let is_up = !self.account.borrow().carrier_is_up;
        self.account.borrow_mut().carrier_is_up = is_up;
        self.turns = at + if is_up { 10_000_000 + self.random.below(60_000_000) } else { self.random.delay(5_000_000) };
        if is_up {
            return self.seen.push("carrier-restarted");
        }
        for world in &mut self.worlds {
            world.lose_carrier(at);
        }
    }

    /// Decisions of one session's doing for the others.
    fn hand_over(&mut self, at: u64) {
        let mail = std::mem::take(&mut self.account.borrow_mut().mail);
        for mail in mail {
            self.worlds[mail.session].take_in(at, mail);
        }
    }

    fn verdict(self) -> Vec<&'static str> {
        let mut seen = self.seen;
        let (mut reached, account) = (HashSet::new(), self.account.borrow());
        account.settled();
        for world in self.worlds {
            for body in world.reached_the_carrier() {
                let part = body.strip_prefix(b"O").unwrap_or(body);
                assert!(account.may_pass(part), "part of a message that may not pass");
                assert!(reached.insert(part.to_vec()), "forwarded by two sessions");
            }
            seen.extend(world.verdict(&account));
        }
        seen
    }
}

enum Next {
    Session(usize),
    Account,
    Carrier,
    Return(usize),
}
