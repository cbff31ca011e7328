// Reads the whole database, off the event loop: with a million messages that takes seconds.
import Database from 'better-sqlite3';

const db = new Database(process.argv[2], { readonly: true, fileMustExist: true });
process.stdout.write(JSON.stringify({ found: look() }));
db.close();

/** What is damaged much is an error of SQLite; any other error says that nobody could look, and ends this process. */
function look() {
  try {
    return String(db.pragma('quick_check(1)', { simple: true }));
  } catch (error) {
    if (/^SQLITE_(CORRUPT|NOTADB)/.test(error.code)) return error.message;
    throw error;
  }
}
