// What a client may not hear says nothing: not by losses, not by numbers, and not by how much of it there is.

import { describe, expect, test } from 'vitest';
import {
  FAN_ATTRIB,
  FAN_CREATE,
  FAN_DELETE,
  FAN_MODIFY,
  FAN_ONDIR,
  FAN_RENAME,
  FAN_REPORT_DFID_NAME_TARGET,
} from '../../../src/abi/index.ts';
import { REQUEST } from '../../../src/core/process/wire.ts';
import { fsidText } from '../../../src/identity/handle-at.ts';
import { canMount } from '../../support/mounts.ts';
import { handleOf, lineOf, type NamesClient, NamesHouse, rightsOf, USER } from './names-house.ts';

const NAMES = FAN_CREATE | FAN_DELETE | FAN_RENAME | FAN_ONDIR;
const EVERY_MS = 5_000;

function statisticsOf(client: NamesClient): Record<string, number> {
  return JSON.parse(client.call(client.writer.plain(REQUEST.statistics)).toString());
}

function keyOf(house: NamesHouse, path: string): string {
  const { fsid, handle } = handleOf(`${house.mount.path}/${path}`);
  return fsidText(fsid) + handle.toString('latin1');
}

describe.runIf(canMount)('a user for whom nobody can look', () => {
  test('is told of losses at times that do not depend on what happens', () => {
    let now = 0;
    const house = new NamesHouse({ clock: () => now });
    house.do('mkdir -m 700 shut');
    const client = house.client(rightsOf([], { uid: USER }));
    client.mark('.', NAMES);
    house.visits.isStuck = true;
    house.do(': > shut/one');
    expect(client.lines()).toEqual(['Q_OVERFLOW']);
    for (const name of ['two', 'three', 'four']) {
      house.do(`: > shut/${name}`);
      expect(client.lines()).toEqual([]);
    }
    // Behind all that was lost.
    now = EVERY_MS;
    house.loop.step(0);
    expect(client.lines()).toEqual(['Q_OVERFLOW']);
    now *= 10;
    house.loop.step(0);
    expect(client.lines()).toEqual([]);
    expect(statisticsOf(client)).toMatchObject({ lost: 1, overflows: 2, queued: 0 });
  });

  test('hears the same whether something happens or not, for as long as it has to wait', () => {
    const told = [false, true].map((isBusy) => {
      let now = 0;
      const house = new NamesHouse({ clock: () => now });
      house.do('mkdir -m 700 shut');
      const [client, other] = [USER, USER + 1].map((uid) => house.client(rightsOf([], { uid })));
      for (const one of [client, other]) one?.mark('.', NAMES);
      house.visits.isStuck = true;
      house.loop.broker.userIsOut(USER, EVERY_MS * 2.5);
      const lines: (string[] | undefined)[] = [];
      for (; now < EVERY_MS * 4; now += EVERY_MS / 2) {
        if (isBusy && now < EVERY_MS * 2) house.do(`: > shut/${now}; mkdir shut/d${now}`);
        house.loop.step(0);
        lines.push(client?.lines());
      }
      expect(isBusy ? [] : other?.lines()).toEqual([]);
      return lines;
    });
    const [calm, busy] = told;
    expect(busy).toEqual(calm);
    expect(calm?.map((lines) => lines?.length)).toEqual([1, 0, 1, 0, 1, 1, 0, 0]);
  });

  test('is not counted what waits to be looked at', () => {
    const house = new NamesHouse();
    house.do('mkdir -m 700 shut');
    const client = house.client(rightsOf([], { uid: USER }));
    client.mark('.', NAMES);
    house.visits.isHeld = true;
    const before = house.status().groups[0];
    house.do('for i in $(seq 20); do : > shut/f$i; done');
    house.until(() => house.visits.waiting > 0, 'somebody is asked');
    // What it would be told: the answer itself waits behind what is undecided.
    expect(house.status().groups[0]).toMatchObject({ queued: 0, lost: 0, overflows: 0 });
    expect(house.status().groups[0]?.queuedBytes).toBeGreaterThan(before?.queuedBytes ?? 0);
    house.visits.isHeld = false;
    expect(client.lines()).toEqual([]);
    expect(house.status().groups[0]).toMatchObject({ queued: 0, queuedBytes: 0 });
  });
});

describe.runIf(canMount)('what is not decided yet', () => {
  test('takes no more than its group may have waiting, in events as in questions, and beyond that is a loss', () => {
    let now = 0;
    const house = new NamesHouse({ clock: () => now });
    const many = 400;
    house.do(`for i in $(seq ${many}); do mkdir d$i; done`);
    const client = house.client(rightsOf([], { uid: USER, queueBytes: 20_000 }), FAN_REPORT_DFID_NAME_TARGET);
    client.mark('.', FAN_CREATE);
    house.visits.isHeld = true;
    house.do(`for i in $(seq ${many}); do : > d$i/file; done`);
    house.until(() => house.status().totals.read >= many, 'all is read');
    const { queuedBytes = 0, lost } = house.status().groups[0] ?? {};
    expect(queuedBytes).toBeLessThanOrEqual(20_024);
    // Of what it might not have heard it is not told how much it was.
    expect(lost).toBe(0);
    house.visits.isHeld = false;
    const heard = client.lines();
    // Nobody was asked for what there was no room for.
    expect(house.visits.asked).toBeLessThan(100);
    expect(heard.filter((line) => line.startsWith('CREATE'))).toHaveLength(house.visits.asked);
    expect(heard.at(-1)).toBe('Q_OVERFLOW');
    now = EVERY_MS;
    house.loop.step(0);
    expect(client.lines()).toEqual(['Q_OVERFLOW']);
    house.do(`: > d${many}/later`);
    expect(client.lines()).toEqual(['CREATE later']);
  });

  test('counts with each mark that hears it', () => {
    const house = new NamesHouse();
    const path = Array(40).fill('d');
    house.do(`mkdir -p ${path.join('/')}`);
    const client = house.client(rightsOf([], { uid: USER, queueBytes: 20_000 }));
    for (const at of path.keys()) client.mark(path.slice(0, at + 1).join('/'), FAN_CREATE, { number: at });
    house.visits.isHeld = true;
    house.do(`for i in $(seq 100); do : > ${path.join('/')}/f$i; done`);
    house.until(() => house.status().totals.read >= 100, 'all is read');
    house.visits.isHeld = false;
    expect(client.lines().filter((line) => line.startsWith('CREATE')).length).toBeLessThan(5);
  });

  test('and asked by a client that has gone keeps no directory', () => {
    const house = new NamesHouse();
    house.do('for i in $(seq 100); do mkdir d$i; done');
    const [client, other] = [house.client(rightsOf([], { uid: USER })), house.client()];
    for (const one of [client, other]) one.mark('.', FAN_CREATE);
    house.visits.isHeld = true;
    house.do('for i in $(seq 100); do : > d$i/file; done');
    house.until(() => house.status().totals.read >= 100, 'all is read');
    const { tree } = house.loop.broker;
    const held = () => Array.from({ length: 100 }, (_, at) => tree.find(keyOf(house, `d${at + 1}`))?.held ?? 0);
    expect(Math.max(...held())).toBe(1);
    client.close();
    house.until(() => house.status().groups.length === 1, 'it has gone');
    house.visits.isHeld = false;
    house.until(() => house.visits.waiting === 0, 'those that were asked have answered');
    expect(Math.max(...held())).toBe(0);
  });
});

describe.runIf(canMount)('a name that is gone by the end of an event', () => {
  test('is told only to who could have read the directory, whatever else has happened to it', () => {
    const house = new NamesHouse();
    house.do('mkdir dark light; chmod 711 dark');
    const client = house.client(rightsOf([], { uid: USER }));
    client.mark('.', NAMES | FAN_ATTRIB | FAN_MODIFY);
    const made = house.client(rightsOf([], { uid: USER }));
    made.mark('.', FAN_CREATE);
    // By one process, before anybody has read: the kernel makes one event of it.
    for (const directory of ['dark', 'light']) {
      house.do(`cd ${directory}; perl -e 'open my $f, ">", "short" or die $!; unlink "short" or die $!'`);
      house.do(`cd ${directory}; perl -e 'mkdir "made" or die $!; rmdir "made" or die $!'`);
    }
    const told = client.sync().map(lineOf);
    expect(told).toEqual(['CREATE|DELETE short @1:light', 'CREATE|DELETE|ONDIR made @1:light']);
    expect(made.lines()).toEqual(['CREATE short @1:light']);
    house.do(`echo > dark/stays`);
    expect(client.lines()).toEqual(['MODIFY|CREATE stays @1:dark']);
  });
});
