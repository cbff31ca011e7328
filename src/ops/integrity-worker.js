// Reads the whole database, off the event loop: with a million messages that takes seconds.
import { parentPort, workerData } from 'node:worker_threads';
import Database from 'better-sqlite3';

const db = new Database(workerData, { readonly: true, fileMustExist: true });
const found = db.pragma('quick_check(1)', { simple: true });
db.close();
parentPort.postMessage(String(found));
