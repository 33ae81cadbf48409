#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""stalled_test.py - a node that stands still under thousands of clients, and goes on: it must still
hear, with all its frame buffers (dataplane/net/port_pool.c).

While it stands, its receive ring fills; when it goes on, bursts take it through its whole pool. A
buffer that the kernel will not have is lost in silence; 2048 of them and the node is deaf."""
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))

import node as nodes  # noqa: E402
import tap  # noqa: E402
import xsk  # noqa: E402

ABAFT = os.environ.get('ABAFT', f'{nodes.ROOT}/build/tools/abaft')
CLIENTS = 2048
LOAD_S = 5
STALLS = 3
STALL_S = 0.4
FILL = 2048  # what DPDK's driver puts into the fill ring at the start
BUFFERS = 8191 + 2 * 8192  # of one queue and two workers: control/daemon.c
SETTLE_S = 10


def settled(node):
    """The node's sockets when nothing is under way any more."""
    end = time.monotonic() + SETTLE_S
    while True:
        found = xsk.sockets(node.pid)
        if all(s.rx == 0 and s.lost == 0 for s in found) or time.monotonic() > end:
            return found
        time.sleep(0.05)


def stalled(t, **keys):
    """Stalls under many clients"""
    # Room for all keys of the load, however many it gets to.
    with nodes.Node(workers=2, port='afxdp:lo', keys='262144', memory='256M', **keys) as node:
        t.equal([(s.fill, s.lost) for s in xsk.sockets(node.pid)], [(FILL, 0)],
                f'one AF_XDP socket, its fill ring has {FILL} buffers')
        load = subprocess.Popen([ABAFT, 'load', '-q', '-T', '2', '-c', str(CLIENTS), '-b', '400',
                                 '-s', str(LOAD_S), '-t', '2000'], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL, preexec_fn=nodes._die_with_parent)
        for _ in range(STALLS):
            time.sleep(0.4)
            os.kill(node.pid, signal.SIGSTOP)
            time.sleep(STALL_S)
            os.kill(node.pid, signal.SIGCONT)
        try:
            load.wait(60)
        finally:
            load.kill()
            load.wait()
        after, = settled(node)
        t.ok(after.rx_ring_full > 0, 'the receive ring was full', vars(after))
        t.equal((after.fill, after.lost), (FILL, 0), 'no frame buffer is lost')
        t.equal(after.fill_ring_empty, 0, 'the kernel never lacked one')
        t.equal(node.peer().write({b'after': b'1'}), 0, 'the node still hears')
        t.ok(node.total('frames') > BUFFERS, 'more requests came than there are buffers')


reason = nodes.missing()
if reason:
    tap.skip_all(reason)
nodes.enter_namespace()
t = tap.Tap()
t.case(stalled)
t.done()
