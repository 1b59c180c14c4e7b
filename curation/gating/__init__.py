"""The gate as stages of Spark: what is known of images is joined, matched images are filtered, copies come together.

Spark joins and evaluates rows of a few numbers, and brings them to the task that reads the file of their images, in the
order of that file. Of images only copies travel: to the image that stays for them. The conditions are in `gates`.
"""
