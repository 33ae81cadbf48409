#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A node in huge pages: it serves, gives every page back, and says what to do when there are too
few. Pages are set aside for this test and given back; the mount is seen by this process alone."""
import ctypes
import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
from node import Failed, Node, enter_namespace, missing, run  # noqa: E402
from tap import Tap, skip_all  # noqa: E402
import wire  # noqa: E402

PAGES = 280
COUNT = '/proc/sys/vm/nr_hugepages'
CLONE_NEWNS = 0x20000


def read(path):
    with open(path) as file:
        return file.read()


def write(path, text):
    with open(path, 'w') as file:
        file.write(text)


def free_pages():
    lines = read('/proc/meminfo').splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith('HugePages_Free'))


def given_back(count, timeout_s=5):
    """The kernel lets go of an AF_XDP socket's memory a moment after its process has ended."""
    end = time.monotonic() + timeout_s
    while free_pages() != count and time.monotonic() < end:
        time.sleep(0.05)
    return free_pages()


def own_mount(folder):
    """hugetlbfs in a mount namespace of ours: it goes with this process."""
    if ctypes.CDLL(None).unshare(CLONE_NEWNS) != 0:
        raise OSError('unshare')
    run('mount', '--make-rprivate', '/')
    run('mount', '-t', 'hugetlbfs', '-o', 'pagesize=2M', 'none', folder)


def served(tap):
    """A node in huge pages serves and gives them back"""
    before = free_pages()
    with Node(huge_pages='yes', memory='64M') as node:
        tap.ok(free_pages() <= before - 32, 'huge: it took pages')
        tap.equal(node.peer().write({b'a': b'1'}), wire.OK, 'huge: it commits')
        tap.equal(node.peer().read(b'a'), [b'1'], 'huge: it reads')
        tap.equal(node.stop(), 0, 'huge: clean stop')
        tap.equal(given_back(before), before, 'huge: every page is given back')
        node.start()
        node.kill()
        tap.equal(given_back(before), before, 'huge: after a kill, too')
    try:
        with Node(huge_pages='yes', memory='4G'):
            tap.ok(False, 'huge: too few pages', 'it started')
    except Failed as failed:
        tap.ok('vm.nr_hugepages' in str(failed), 'huge: too few pages, in words', failed)


def main():
    reason = missing()
    if reason:
        skip_all(reason)
    tap = Tap()
    aside = read(COUNT).strip()
    folder = tempfile.mkdtemp(prefix='abaft-huge-', dir='/var/tmp')
    try:
        write(COUNT, str(int(aside) + PAGES))
        if free_pages() < PAGES:
            skip_all(f'only {free_pages()} of {PAGES} huge pages could be set aside')
        own_mount(folder)
        enter_namespace()
        tap.case(served)
    finally:
        if os.path.ismount(folder):
            run('umount', folder)
        os.rmdir(folder)
        write(COUNT, aside)
    tap.done()


main()
