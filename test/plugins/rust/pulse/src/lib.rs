//! pulse counts its ticks and what is underway, and asks the upstream `weather` at each tick.

use std::cell::RefCell;
use std::time::Duration;

use proxy_wasm::hostcalls::{define_metric, get_metric, increment_metric, record_metric};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, MetricType};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Plugin::default()));
}}

thread_local! {
    static WEATHER: RefCell<String> = RefCell::new(String::from("unknown"));
}

#[derive(Clone, Copy, Default)]
struct Metrics {
    ticks: u32,
    underway: u32,
    path_bytes: u32,
}

#[derive(Default)]
struct Plugin {
    metrics: Metrics,
}

impl RootContext for Plugin {
    fn on_vm_start(&mut self, _: usize) -> bool {
        let define = |kind, name| define_metric(kind, name).expect("a metric");
        self.metrics = Metrics {
            ticks: define(MetricType::Counter, "pulse_ticks"),
            underway: define(MetricType::Gauge, "pulse_underway"),
            path_bytes: define(MetricType::Histogram, "pulse_path_bytes"),
        };
        true
    }

    fn on_configure(&mut self, _: usize) -> bool {
        self.set_tick_period(Duration::from_millis(20));
        true
    }

    fn on_tick(&mut self) {
        increment_metric(self.metrics.ticks, 1).expect("a count");
        let question = vec![(":method", "GET"), (":path", "/"), (":authority", "weather")];
        if let Err(status) = self.dispatch_http_call("weather", question, None, vec![], Duration::from_secs(1)) {
            log::error!("the weather cannot be asked for: {:?}", status);
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { metrics: self.metrics }))
    }
}

impl Context for Plugin {
    fn on_http_call_response(&mut self, _: u32, _: usize, body_size: usize, _: usize) {
        let body = self.get_http_call_response_body(0, body_size).unwrap_or_default();
        WEATHER.with(|weather| *weather.borrow_mut() = String::from_utf8_lossy(&body).into_owned());
    }
}

struct Stream {
    metrics: Metrics,
}

impl Context for Stream {
    fn on_done(&mut self) -> bool {
        increment_metric(self.metrics.underway, -1).expect("a gauge");
        true
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        increment_metric(self.metrics.underway, 1).expect("a gauge");
        let path = self.get_http_request_header(":path").unwrap_or_default();
        record_metric(self.metrics.path_bytes, path.len() as u64).expect("a histogram");
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let value = |metric| get_metric(metric).expect("a value").to_string();
        self.add_http_response_header("x-ticks", &value(self.metrics.ticks));
        self.add_http_response_header("x-underway", &value(self.metrics.underway));
        WEATHER.with(|weather| self.add_http_response_header("x-weather", &weather.borrow()));
        Action::Continue
    }
}
