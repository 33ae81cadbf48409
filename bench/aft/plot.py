# SPDX-License-Identifier: Apache-2.0
"""plot.py - pictures of the evaluation, by gnuplot, as `abaft report` makes its own."""
import subprocess

COLORS = ('#2166ac', '#b2182b', '#1b7837', '#8c510a', '#762a83', '#666666', '#01665e', '#bf812d')
SECONDS = 30


def _text(words):
    return '"' + str(words).replace('\\', '').replace('"', '').replace('_', ' ') + '"'


def _number(value):
    return 'NaN' if value is None else f'{value:.7g}'


def _head(path, title, y, log):
    lines = ['set terminal svg size 1000,500 font "sans-serif,13" background "#ffffff"',
             f'set output "{path}"',
             f'set title {_text(title)}', f'set ylabel {_text(y)}',
             'set grid ytics lc rgb "#dadde0"', 'set key outside right', 'set border 3',
             'set tics nomirror']
    if log:
        lines.append('set logscale y')
    else:
        lines.append('set yrange [0:*]')
    return lines


def _run(lines):
    done = subprocess.run(['gnuplot', '-d', '-'], input='\n'.join(lines) + '\n',
                          capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode != 0:
        raise RuntimeError(f'gnuplot: {done.stderr.strip()}')


def bars(path, title, y, groups, log=False):
    """groups: [(name, {series: (median, p99) or a number})]; the p99 is a thin line on top."""
    series = list(dict.fromkeys(name for _, values in groups for name in values))
    lines = _head(path, title, y, log)
    width = len(series) + 1
    lines += ['set boxwidth 0.85', 'set style fill solid 0.85 noborder',
              f'set xrange [-1:{len(groups) * width - 1}]']
    lines.append('set xtics (' + ', '.join(
        f'{_text(name)} {i * width + (len(series) - 1) / 2}'
        for i, (name, _) in enumerate(groups)) + ')')
    plots = []
    for s, name in enumerate(series):
        lines.append(f'$s{s} << EOD')
        for g, (_, values) in enumerate(groups):
            value = values.get(name)
            low, high = value if isinstance(value, tuple) else (value, value)
            if low is not None:
                lines.append(f'{g * width + s} {_number(low)} {_number(low)} {_number(high)}')
        lines.append('EOD')
        color = COLORS[s % len(COLORS)]
        plots.append(f'$s{s} using 1:2 with boxes lc rgb "{color}" title {_text(name)}')
        plots.append(f'$s{s} using 1:2:3:4 with yerrorbars pt 0 lc rgb "#333639" notitle')
    _run(lines + ['plot ' + ', '.join(plots)])


def lines(path, title, x, y, series, log=False):
    """series: {name: {x: y}}; names that begin with "paper" are dashed."""
    text = _head(path, title, y, log)
    text += [f'set xlabel {_text(x)}']
    plots = []
    for s, (name, points) in enumerate(series.items()):
        text.append(f'$s{s} << EOD')
        text += [f'{_number(at)} {_number(value)}' for at, value in sorted(points.items())]
        text.append('EOD')
        dash = 2 if name.startswith('paper') else 1
        plots.append(f'$s{s} using 1:2 with linespoints lw 2 pt 7 ps 0.6 dt {dash} '
                     f'lc rgb "{COLORS[s % len(COLORS)]}" title {_text(name)}')
    _run(text + ['plot ' + ', '.join(plots)])
