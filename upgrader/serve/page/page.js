// Draws what the server says of the run. Every text goes in as text, never as markup.
"use strict";
(() => {
  const id = (name) => document.getElementById(name);
  const HEADLINES = {
    "no-run": ["no run was ever started", ""], "running": ["RUNNING", "good"],
    "detached": ["RUNNING, followed by nobody", "warn"], "interrupted": ["INTERRUPTED", "bad"],
    "stopped": ["STOPPED between two stages", "warn"], "waiting": ["WAITING for a person", "warn"],
    "decision": ["FAILED, a decision is due", "bad"],
    "failed-clean": ["FAILED, no running service was changed", "bad"],
    "attention": ["NEEDS ATTENTION", "bad"], "done": ["DONE", "good"], "rolled-back": ["ROLLED BACK", "warn"],
    "aborted": ["ABORTED", "warn"], "superseded": ["SUPERSEDED", "warn"],
  };
  const STAGES = {
    done: ["✓", "done", "good"], failed: ["✗", "failed", "bad"], now: ["→", "now", ""], interrupted: ["✗", "interrupted", "bad"],
    waits: ["…", "waits", "warn"], next: ["·", "to come", ""], passed: ["–", "not needed", ""],
  };
  const MARKS = { info: ["·", "", ""], warn: ["!", "caution", "warn"], bad: ["✗", "serious", "bad"] };
  const TEMPO = { usual: ["as usual", "good"], unknown: ["not known", ""], slow: ["SLOW", "warn"], stalled: ["STALLED?", "bad"] };
  const SOURCES = { history: "by earlier runs", rehearsal: "by the rehearsal", baseline: "by the shipped baseline", tasks: "tasks counted" };
  const LOST_SECONDS = 13;
  let model = null, heard = 0, source = null, wait = 1000, before = {};

  const made = (tag, text, kind) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    if (kind) node.className = kind;
    return node;
  };
  const put = (name, text) => { const node = id(name); if (node.textContent !== text) node.textContent = text; };
  const show = (name, wanted) => { id(name).hidden = !wanted; };
  // a list is made anew only when it says something else, so that a screen reader or a finger keeps its place
  const list = (name, items, make) => {
    const node = id(name), key = JSON.stringify(items);
    if (node.dataset.key === key) return;
    node.dataset.key = key;
    node.replaceChildren(...items.map(make));
  };
  const marked = (mark, word, kind) => {
    const found = made("span", mark, "mark " + kind);
    found.setAttribute("aria-hidden", "true");
    return word ? [found, made("span", word + ": ", "unseen")] : [found];
  };
  const clock = (at) => (at || "").slice(11, 19);
  const span = (seconds) => {
    if (seconds === null || seconds === undefined) return "?";
    if (seconds > 0 && seconds < 1) return seconds.toFixed(1) + " s";
    const whole = Math.round(seconds);
    if (whole < 60) return whole + " s";
    if (whole < 3600) return Math.floor(whole / 60) + " min " + String(whole % 60).padStart(2, "0") + " s";
    return Math.floor(whole / 3600) + " h " + String(Math.floor(whole % 3600 / 60)).padStart(2, "0") + " min";
  };
  const about = (seconds) => {
    if (seconds === null || seconds === undefined) return "?";
    const whole = Math.round(seconds);
    if (whole < 60) return whole + " s";
    if (whole < 3570) return Math.round(whole / 60) + " min";
    return Math.floor(whole / 3600) + " h " + String(Math.floor(whole % 3600 / 60)).padStart(2, "0");
  };
  const task = (one) => (one.role && !one.name.startsWith(one.role + " | ") ? one.role + " : " : "") + one.name;

  function head() {
    const status = model.status, [words, kind] = HEADLINES[status.verdict] || [status.verdict, ""];
    put("site", status.site);
    put("verdict", words);
    id("verdict").className = "badge " + kind;
    put("where", status.run ? `hop ${status.hop} of ${status.hops.length}: ${status.source} → ${status.target}` : "");
    const percent = model.pace.fraction === null ? "" : Math.round(model.pace.fraction * 100) + " % ";
    document.title = `${model.pace.tempo ? percent : ""}${words} · ${status.site}`;
    show("trouble", model.trouble);
    put("trouble", model.trouble ? "Cannot be read now, this is from before: " + model.trouble : "");
    show("ponr", model.ponr_at);
    put("ponr", model.ponr_at ? `Point of no return crossed ${clock(model.ponr_at)} UTC (${model.ponr_task}). Way back: ${back(status)}.` : "");
  }
  function back(status) {
    return { "nothing": "nothing to undo", "redeploy": "redeploy " + status.source,
      "restore": "restore of " + status.restore_services.join(", "), "forward-only": "none, forward only" }[status.way_back] || status.way_back;
  }
  function going() {
    const pace = model.pace, tasks = model.tasks, status = model.status, active = pace.tempo !== "";
    show("going", active);
    if (active) {
      put("stage", status.attempt ? status.attempt.stage + (status.attempt.number > 1 ? `, attempt ${status.attempt.number}` : "") : status.state);
      put("percent", pace.fraction === null ? "" : Math.round(pace.fraction * 100) + " %");
      const bar = id("bar");
      if (pace.fraction === null) bar.removeAttribute("value"); else bar.value = pace.fraction;
      bar.hidden = pace.fraction === null;
      const by = SOURCES[pace.source] ? ", " + SOURCES[pace.source] : "";
      const between = pace.left_high ? ` (${about(pace.left_low)} to ${about(pace.left_high)}${by})` : "";
      put("left", `${span(pace.elapsed)} gone, ` + (pace.left === null ? "how long is left is not known" : `about ${about(pace.left)} left${between}`));
      const [word, kind] = TEMPO[pace.tempo] || [pace.tempo, ""], rows = [["Pace", word + (pace.why ? " · " + pace.why : ""), kind]];
      if (tasks.now) {
        const usual = tasks.now.usual !== null && pace.task >= 1 ? `, usually ${span(tasks.now.usual)}` : "";
        rows.push(["Task", task(tasks.now), ""], ["For", (pace.task === null ? "?" : span(pace.task)) + usual, ""]);
      } else if (tasks.step) rows.push(["Step", tasks.step, ""]);
      if (pace.hop_left) rows.push(["Hop", `about ${about(pace.hop_left)} more`, ""]);
      list("figures", rows, ([name, text, kind]) => {
        const row = document.createDocumentFragment();
        row.append(made("dt", name), made("dd", text, kind));
        return row;
      });
    }
    const last = status.attempt && status.verdict === "interrupted" ? status.attempt : null;
    const at = last && (last.task || last.step) ? ` at “${last.task || last.step}”` : "";
    put("rest", active ? "" : !status.run ? "No run is open." : last ? `${last.stage} was interrupted${at}; nothing of it is known to run.`
      : status.reason || "Nothing is under way.");
    show("rest", !active);
    const due = !["running", "done"].includes(status.verdict) && status.choices.length > 0;
    show("choices", due);
    const opening = status.window, barred = opening && opening.why ? ` ${opening.stage} may not begin: ${opening.why}.` : "";
    put("window", opening ? `Change window: ${opening.told || opening.schedule}.${barred}` : "");
    show("window", opening);
    if (due) list("choice-list", status.choices, (one) => {
      const item = made("li");
      item.append(made("code", one.command), document.createTextNode(" — " + one.what));
      return item;
    });
    const hosts = model.hosts;
    show("hosts", hosts.total > 0);
    const through = active && tasks.now ? `, ${hosts.answered} of ${hosts.total} through this task` : "";
    put("hosts-words", `${hosts.ok} ok, ${hosts.failed} failed, ${hosts.unreachable} unreachable${through}`);
    const unnamed = hosts.failed + hosts.unreachable - hosts.troubled.length;
    put("unnamed", unnamed > 0 ? `and ${unnamed} more` : "");
    list("troubled", hosts.troubled, (one) => {
      const item = made("li"), words = made("span");
      words.append(made("strong", one.host), document.createTextNode(` ${one.kind} at ${one.task}: ${one.message}`));
      item.append(...marked("✗", "serious", "bad"), words);
      return item;
    });
    services(status.services);
  }
  // what is done is counted; only services that are not on every host get a line
  function services(found) {
    show("services", found);
    if (!found) return;
    const whole = (one) => one.state === "done" && !one.failed.length, left = found.lines.filter((one) => !whole(one));
    put("services-words", `${found.lines.length - left.length} of ${found.lines.length} ${found.source === "images" ? "containers are of the new release everywhere" : "that were begun are done"}`);
    list("services-left", left.slice(0, 10), (one) => {
      const item = made("li"), words = made("span"), bad = one.failed.length > 0 || one.state === "stopped";
      const many = `${one.total} host${one.total === 1 ? "" : "s"}`, where = one.state === "now" ? `under way on ${many}` : `on ${one.done} of ${many}`;
      const failed = one.failed.length ? "; failed: " + one.failed.map(([host, task]) => `${host} (${task})`).join(", ") : "";
      const not = one.left.length ? "; not on " + one.left.join(", ") : "";
      words.append(made("strong", one.name), document.createTextNode(` ${where}${failed}${not}${one.more && (failed || not) ? ` and ${one.more} more` : ""}`));
      item.append(...(bad ? marked("✗", "serious", "bad") : marked("·", "", "")), words);
      return item;
    });
  }
  function stages() {
    list("stages", model.stages, (one) => {
      const [mark, word, kind] = STAGES[one.state] || ["?", one.state, ""], item = made("li", undefined, one.state === "now" ? "now" : "");
      if (one.state === "now") item.setAttribute("aria-current", "step");
      const again = one.attempts > 1 ? ` (${one.attempts} attempts)` : "";
      const took = one.seconds !== null ? ", " + span(one.seconds) : one.estimate !== null && ["next", "waits", "now"].includes(one.state) ? ", about " + about(one.estimate) : "";
      item.append(marked(mark, "", kind)[0], made("span", one.name + again, "name"), made("span", word + took, "word " + kind));
      return item;
    });
  }
  // drawn by the server; asked for again only when a stage moved on, or the page is of another width
  function picture() {
    const image = id("picture"), width = Math.round(id("stages").clientWidth);
    const key = width + JSON.stringify(model.stages.map((one) => [one.name, one.state, one.seconds, one.estimate]));
    show("picture", model.stages.length > 0);
    if (image.dataset.key === key || !model.stages.length) return;
    image.dataset.key = key;
    image.src = `hop.svg?width=${width}&at=${encodeURIComponent(model.at)}`;
  }
  function rest() {
    const told = model.insights.filter((one) => !["hosts", "pace", model.ponr_at ? "line" : ""].includes(one.source)); // said above
    show("know", told.length > 0);
    list("insights", told, (one) => {
      const [mark, word, kind] = MARKS[one.level] || MARKS.info, item = made("li");
      item.append(...marked(mark, word, kind), made("span", one.text, kind));
      return item;
    });
    list("apis", model.apis, (one) => {
      const kind = { up: "good", away: "bad", unknown: "warn" }[one.state] || "", item = made("li");
      item.append(marked({ up: "✓", away: "✗" }[one.state] || "?", "", kind)[0], made("span", one.name, "name"),
        made("span", one.state + (one.away_seconds ? `, ${one.state === "away" ? "" : "away "}${span(one.away_seconds)} so far` : ""), kind));
      return item;
    });
    put("apis-note", model.apis_note || (model.apis.length ? "" : "No API was asked."));
    list("events", [...model.events].reverse(), (one) => {
      const [mark, word, kind] = MARKS[one.level] || MARKS.info, item = made("li"), at = made("time", clock(one.at), "time");
      at.dateTime = one.at;
      item.append(at, ...(word ? marked(mark, word, kind) : []), made("span", one.text, kind));
      return item;
    });
    show("tasks", model.tasks.last.length > 0);
    list("last", model.tasks.last, (one) => {
      const item = made("li");
      item.append(made("span", span(one.seconds), "time"), made("span", task(one)));
      return item;
    });
  }
  // only what somebody who does not see the page wants to be told, and once
  function say() {
    const now = { verdict: id("verdict").textContent, stage: model.pace.tempo ? "stage " + model.status.state : "",
      ponr: id("ponr").textContent, tempo: ["slow", "stalled"].includes(model.pace.tempo) ? model.pace.tempo + ": " + model.pace.why : "",
      hosts: model.hosts.troubled.map((one) => `${one.host} ${one.kind}`).join(", ") };
    const fresh = Object.keys(now).filter((key) => now[key] && now[key] !== before[key]).map((key) => now[key]);
    before = now;
    if (fresh.length) put("said", fresh.join(". "));
  }
  function draw() {
    document.querySelector("main").hidden = false;
    head(); going(); stages(); picture(); rest(); say();
  }
  function line() {
    const silent = heard ? Math.round((Date.now() - heard) / 1000) : null;
    const lost = silent === null || silent > LOST_SECONDS, open = source && source.readyState === EventSource.OPEN;
    document.body.classList.toggle("stale", lost && model !== null);
    id("line").dataset.state = !lost && open ? "live" : silent === null ? "wait" : "lost";
    put("line-words", !lost && open ? `live · ${clock(model.at)} UTC` : silent === null ? "connecting"
      : `no connection · what is shown is ${silent} s old · trying again`);
  }
  function take(change) {
    return (event) => {
      try { change(JSON.parse(event.data)); } catch (error) { console.error(error); return; }
      heard = Date.now();
      wait = 1000;
      if (model) draw();
      line();
    };
  }
  function connect() {
    source = new EventSource("events");
    source.addEventListener("all", take((data) => { model = data; }));
    source.addEventListener("part", take((data) => { if (model) Object.assign(model, data); }));
    source.addEventListener("beat", take((data) => { if (model) model.at = data.at; }));
    source.onerror = () => {
      line();
      if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
      setTimeout(connect, wait);
      wait = Math.min(wait * 2, 5000);
    };
  }
  connect();
  setInterval(line, 1000);
})();
