// What `fanotify help watch` tells behind the options.

export const WATCH_HELP = `
Events:
  create delete rename modify attrib closeWrite closeNowrite open openExec access
  movedFrom movedTo deleteSelf moveSelf, and close, move, all for several.
  Names of the kernel (FAN_CLOSE_WRITE) and of inotifywait (close_write) will do.
  Without -e: create, modify, attrib, delete, rename; of PATH itself always deleteSelf
  and moveSelf too. With any -e, a sentence says when PATH is gone.

Globs:
  Without '/', a glob is compared with each name below PATH; with '/', with the path
  relative to PATH; with '/' in front, with the absolute path. What is below something
  left out is left out too.

Changes:
  With --changes a line tells that something was created, updated, deleted or renamed,
  however many events that took, what it is, its size in bytes and who did it. Nothing
  is lost: when the kernel's queue was full, 'rescan' says so, and what follows is the
  difference to what was told before. --baseline says where that is kept: in a temporary
  file (the default), in memory, or nowhere. With --snapshot and --since that goes on
  where it ended, so that what happens in between is told the next time.

Exit status:
  0      after --count events, and when the reader of the output has gone
  1      on an error, and when every PATH is deleted
  2      at the time-out
  128+n  by signal n, as the shell shows it: Ctrl-C 130, SIGTERM 143, SIGHUP 129

As root, -r puts one mark on the file system and sees which process did it (pid); --who
adds its name ('name'), executable, arguments and user ('command'), container, unit and
parents ('full'). Without root, -r goes through fanotifyd where that serves this user
(FANOTIFY_SOCKET names its socket), else it marks each directory; pid is '-' (0 in JSON)
for other users' processes: nobody tells it.`;
