//! The smallest component: a number more than it was given.

wit_bindgen::generate!({
    inline: "
        package outrigger:test;
        world smallest {
            export next: func(value: u32) -> u32;
        }
    ",
});

struct Smallest;

impl Guest for Smallest {
    fn next(value: u32) -> u32 {
        value + 1
    }
}

export!(Smallest);
