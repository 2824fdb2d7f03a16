// Runs the steps of a client, and prints one line for each: its name, a tab, and its outcome.
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";

const STEP_LIMIT = 10_000;
const WAIT_LIMIT = 6_000;

export const url = process.env.MATRIX_URL;
export const password = "Aa1-wordpass-of-a-client";

// Standard output is for the steps only; the clients log a lot.
for (const level of ["log", "info", "debug", "trace", "warn"]) console[level] = console.error;
process.on("unhandledRejection", (error) => console.error("unhandled rejection:", error));
process.on("uncaughtException", (error) => console.error("uncaught exception:", error));

/** Runs a step. What it returns becomes part of the outcome, which must be the same on every server. */
export async function step(name, work) {
    console.error(`\n== ${name}`);
    let outcome;
    try {
        const detail = await Promise.race([work(), limit()]);
        outcome = detail === undefined ? "ok" : `ok: ${JSON.stringify(sorted(detail))}`;
    } catch (error) {
        console.error(error);
        outcome = `failed: ${describe(error)}`;
    }
    process.stdout.write(`${name}\t${outcome}\n`);
}

/** The same value with the keys of objects in order, so that outcomes can be compared as text. */
function sorted(value) {
    if (Array.isArray(value)) return value.map(sorted);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
}

async function limit() {
    await sleep(STEP_LIMIT);
    throw new Error(`it did not end within ${STEP_LIMIT / 1000} s`);
}

function describe(error) {
    const body = error?.body ?? error?.data;
    const answer = body?.errcode ? ` ${body.errcode}` : "";
    const status = error?.statusCode ?? error?.httpStatus;
    const head = status ? `${status}${answer}: ` : "";
    const text = head + String(error?.message ?? error?.errcode ?? error);
    return text.replaceAll(/\s+/g, " ").slice(0, 400);
}

/** Waits until the check returns a value that is neither false nor absent, and returns it. */
export async function until(what, check) {
    const end = Date.now() + WAIT_LIMIT;
    for (;;) {
        const found = await check();
        if (found !== undefined && found !== null && found !== false) return found;
        if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
        await sleep(25);
    }
}

export function assert(condition, what) {
    if (!condition) throw new Error(`not so: ${what}`);
}

export function equal(found, expected, what) {
    const [left, right] = [JSON.stringify(found), JSON.stringify(expected)];
    if (left !== right) throw new Error(`${what} is ${left}, expected ${right}`);
}

/** Runs what must fail, and returns the status and code of the failure. */
export async function refused(work) {
    let found;
    try {
        found = await work();
    } catch (error) {
        const code = error?.errcode ?? error?.body?.errcode ?? error?.data?.errcode;
        if (code === undefined) throw error;
        return `${error.statusCode ?? error.httpStatus} ${code}`;
    }
    throw new Error(`it was not refused, the answer was ${JSON.stringify(found)}`);
}

/** Ends the process, although connections of a client may still be open. */
export function end() {
    process.stdout.write("", () => process.exit(0));
}
