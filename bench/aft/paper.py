# SPDX-License-Identifier: Apache-2.0
"""paper.py - the figures of "A Fault-Tolerance Shim for Serverless Computing" (EuroSys 2020), as
printed there; those that were read off a plot say so. Times are (median, 99th percentile) in ms.

Setting: one AFT node on 4 cores, functions on AWS Lambda, storage services of AWS in one zone;
values of 4 KB. Names of systems are those of cells.System where there is a counterpart.
"""

# Per 10000 transactions: (read-your-writes, fractured reads), as its functions count.
TABLE_2 = {('s3', 'plain'): (595, 836), ('dynamodb', 'plain'): (537, 779),
           ('dynamodb', 'transactions'): (0, 115), ('redis', 'plain'): (215, 383),
           ('s3', 'abaft'): (0, 0), ('dynamodb', 'abaft'): (0, 0), ('redis', 'abaft'): (0, 0)}

# By number of writes.
FIG_2 = {1: {'abaft': (10.2, 17.2), 'abaft batched': (9.9, 15.3), 'plain': (3.03, 5.45),
             'plain batched': (3.08, 7.49)},
         5: {'abaft': (13.4, 28.6), 'abaft batched': (10.9, 18.3), 'plain': (14.9, 580),
             'plain batched': (4.65, 11.7)},
         10: {'abaft': (17.6, 56.9), 'abaft batched': (12.3, 25.5), 'plain': (35.6, 696),
              'plain batched': (6.82, 15.2)}}

FIG_3 = {('s3', 'plain'): (199, 649), ('s3', 'abaft'): (245, 742),
         ('dynamodb', 'plain'): (69.1, 137), ('dynamodb', 'abaft'): (68.8, 141),
         ('dynamodb', 'transactions'): (81.1, 351),
         ('redis', 'plain'): (33.6, 72.5), ('redis', 'abaft'): (39.8, 87.8)}

# By Zipf's exponent.
FIG_4 = {('dynamodb', 'transactions'): {1.0: (78.1, 158), 1.5: (98.7, 723), 2.0: (116, 1140)},
         ('dynamodb', 'abaft no cache'): {1.0: (69.9, 147), 1.5: (68.6, 145), 2.0: (67.6, 149)},
         ('dynamodb', 'abaft'): {1.0: (63.6, 139), 1.5: (60.3, 132), 2.0: (57.8, 132)},
         ('redis', 'abaft no cache'): {1.0: (44.9, 99.5), 1.5: (45.0, 98.5), 2.0: (45.7, 99.9)},
         ('redis', 'abaft'): {1.0: (42.7, 92.0), 1.5: (42.7, 97.5), 2.0: (44.4, 92.5)}}

# By percent of reads among 10 operations.
FIG_5 = {'dynamodb': dict(zip((0, 20, 40, 60, 80, 100),
                              ((56.5, 130), (58.1, 135), (59.3, 122), (60.8, 123), (61.0, 123),
                               (58.1, 124)))),
         'redis': dict(zip((0, 20, 40, 60, 80, 100),
                           ((40.4, 94.3), (42.6, 100), (42.2, 100), (42.1, 94.2), (43.1, 96.7),
                            (42.2, 94.1))))}

# By number of functions.
FIG_6 = {'dynamodb': dict(zip((1, 2, 4, 6, 8, 10),
                              ((43.0, 101), (70.3, 141), (123, 216), (175, 280), (221, 334),
                               (270, 403)))),
         'redis': dict(zip((1, 2, 4, 6, 8, 10),
                           ((27.0, 69.6), (49.8, 115), (96.6, 176), (144, 238), (191, 291),
                            (239, 352))))}

# Transactions per second by number of clients; read off the plot.
FIG_7 = {'dynamodb': {10: 135, 20: 260, 30: 400, 40: 545, 50: 585},
         'redis': {10: 215, 20: 410, 30: 630, 40: 820, 50: 895}}
FIG_7_BEST = 935  # Redis, 45 clients, on 4 cores
TRIPS_PER_COMMIT = 2  # the values' batch, then the commit record
